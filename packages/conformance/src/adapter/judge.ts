import type { ConfiguredAdapter, Tensor, TypedArray } from '@lowrank/core';
import { compare } from '../backend/compare.ts';
import { float64 } from '../backend/operands.ts';
import { unitRoundoff } from '../backend/bounds.ts';
import { ConformanceError, demand } from '../conformance-error.ts';
import { roundingBackend, type RoundingBackend } from '../rounding/rounding-backend.ts';
import type { Trial } from './rig.ts';

/** Says what is judged, for messages: adapter, layer, quantity. */
export function titleOf(
  { configured, row }: { configured: ConfiguredAdapter; row: { name: string } },
  what: string,
): string {
  return `${configured.adapter.type} on ${row.name}: ${what}`;
}

/** Throws unless every number is the same; the sign of a zero aside, which adding a zero may change. */
export function demandEqual(trial: Omit<Trial, 'backend'>, what: string, got: TypedArray, expected: TypedArray): void {
  demand(got.length === expected.length, titleOf(trial, `${what}: ${got.length} numbers, expected ${expected.length}`));
  const wrong = got.findIndex(
    (value: number, i: number) => value !== expected[i] && !(Number.isNaN(value) && Number.isNaN(expected[i])),
  );
  if (wrong < 0) return;
  const message = titleOf(trial, `${what}: element ${wrong} is ${got[wrong]}, must be exactly ${expected[wrong]}`);
  throw new ConformanceError('CONFORMANCE_MISMATCH', message, got[wrong]);
}

/** A backend that knows how far the trial's may be from float64. */
export function tracker({ backend }: Trial): RoundingBackend {
  const { precision, productOperands } = backend.supports;
  return roundingBackend(unitRoundoff(precision), productOperands);
}

/** A tracked tensor's value, and how far from it the trial's may be: float64 itself rounds, too. */
export interface Expected {
  readonly value: Float64Array;
  readonly tolerance: Float64Array;
}

export async function expectedOf(trial: Trial, rounding: RoundingBackend, result: Tensor): Promise<Expected> {
  const own = 1 + unitRoundoff('f64') / unitRoundoff(trial.backend.supports.precision);
  return {
    value: float64(await result.data()),
    tolerance: rounding.errorOf(result.storage).map((error) => error * own),
  };
}

/** Throws unless `got` is the expected value within its tolerance. */
export function demandClose(trial: Trial, what: string, got: TypedArray, { value, tolerance }: Expected): void {
  const subject = { kernel: trial.configured.adapter.type, case: trial.row.name, output: what };
  trial.note?.(compare(subject, got, value, tolerance, trial.backend.supports.precision).maxOverBound);
}
