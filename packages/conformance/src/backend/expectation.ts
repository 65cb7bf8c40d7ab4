/** What a case's results must be, and how far off they may be: the same for every backend of an arithmetic. */
import type { Backend } from '@lowrank/core';
import { unitRoundoff } from './bounds.ts';
import type { Case, Tolerance } from './case.ts';
import { evaluate } from './evaluate.ts';
import { flushed, float64 } from './operands.ts';
import { arithmeticName, type Arithmetic } from './product-operands.ts';

export interface Expectation {
  /** The reference's results. */
  readonly expected: readonly Float64Array[];
  /** Those with subnormal inputs taken for zero: as good. */
  readonly alternative: readonly Float64Array[];
  tolerance(arithmetic: Arithmetic): readonly Tolerance[];
}

/** A suite often judges several backends, one after the other. Results of more elements than this are computed anew. */
const KEPT_ELEMENTS = 2 ** 19;

const kept = new WeakMap<Case, Expectation>();

export async function expectationOf(reference: Backend, row: Case): Promise<Expectation> {
  const known = kept.get(row);
  if (known !== undefined) return known;
  const made = await expect(reference, row);
  const elements = made.expected.reduce((sum, { length }) => sum + length, 0);
  if (elements <= KEPT_ELEMENTS) kept.set(row, made);
  return made;
}

async function expect(reference: Backend, row: Case): Promise<Expectation> {
  const expected = (await evaluate(reference, row, row.inputs)).map(float64);
  const alternative = row.subnormal ? (await evaluate(reference, row, row.inputs.map(flushed))).map(float64) : expected;
  const tolerances = new Map<string, readonly Tolerance[]>();
  return {
    expected,
    alternative,
    tolerance(arithmetic) {
      const name = arithmeticName(arithmetic);
      const tolerance = tolerances.get(name) ?? toleranceOf(row, expected, arithmetic);
      tolerances.set(name, tolerance);
      return tolerance;
    },
  };
}

function toleranceOf(
  row: Case,
  expected: readonly Float64Array[],
  { precision, productOperands }: Arithmetic,
): Tolerance[] {
  // The reference is rounded too, at float64's unit.
  const own = row.bound(unitRoundoff('f64'), expected);
  return row.bound(unitRoundoff(precision), expected, productOperands).map((bound, output) => {
    const sum = bound.slice();
    for (let i = 0; i < sum.length; i++) sum[i]! += own[output]![i]!;
    return sum;
  });
}
