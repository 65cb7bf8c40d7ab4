/** Runs one backward kernel and compares it with central differences of the reference's forward kernel. */
import type { Backend, TypedArray } from '@lowrank/core';
import { unitRoundoff } from './bounds.ts';
import type { GradientCase, Input, Kernels } from './case.ts';
import { compare, noErrors, worse } from './compare.ts';
import type { Errors } from './compare.ts';
import { uniform } from './inputs.ts';
import { centralDifferences } from './central-differences.ts';
import type { Differences } from './central-differences.ts';
import { float64, upload } from './operands.ts';

interface Backward {
  readonly gradients: Float64Array[];
  /** As read. */
  readonly raw: TypedArray[];
}

/**
 * Allowed is the sum of: the differences' own error; the backward kernel's rounding; and what rounding the kept results
 * of the forward pass to float32 changes, which the reference computes exactly (both ways, subtracted).
 */
export async function runGradient(backend: Backend, reference: Backend, row: GradientCase): Promise<Errors> {
  const { precision } = backend.supports;
  const { weights, rounded, fromExact, fromRounded, numerics } = await wantedOf(reference, row);
  const got = await backward(backend, row, rounded, weights);
  const rounding = [unitRoundoff(precision), unitRoundoff('f64')].map((unit) =>
    row.bound(unit, fromRounded.gradients, rounded, Float64Array.from(weights)),
  );

  let errors = noErrors;
  for (const [g, input] of row.toward.entries()) {
    const numeric = numerics[g]!;
    const tolerance = numeric.error.map((error, i) => {
      const kept = Math.abs(fromExact.gradients[g]![i]! - fromRounded.gradients[g]![i]!);
      return error + kept + rounding[0]![g]![i]! + rounding[1]![g]![i]!;
    });
    const output = `gradient toward ${row.inputs[input]!.name}`;
    const subject = { kernel: row.kernel, case: row.name, output };
    errors = worse(errors, compare(subject, got.raw[g]!, numeric.gradient, tolerance, precision));
  }
  return errors;
}

/** What a backend's gradients are compared with: the same for every backend, so computed once. */
interface Wanted {
  /** The gradient toward the result that the loss is of. */
  readonly weights: Float32Array;
  /** The forward results as a backend keeps them. */
  readonly rounded: readonly Float64Array[];
  readonly fromExact: Backward;
  readonly fromRounded: Backward;
  /** One for each of `toward`. */
  readonly numerics: readonly Differences[];
}

const known = new WeakMap<GradientCase, Wanted>();

async function wantedOf(reference: Backend, row: GradientCase): Promise<Wanted> {
  const wanted = known.get(row) ?? (await differentiate(reference, row));
  known.set(row, wanted);
  return wanted;
}

async function differentiate(reference: Backend, row: GradientCase): Promise<Wanted> {
  const values = row.inputs.map((input) => float64(input.data));
  const exact = await forward(reference, row, values);
  const weights = uniform(`${row.kernel} ${row.name} weights`, exact[row.loss]!.length);
  const rounded = exact.map((result) => new Float64Array(new Float32Array(result)));
  const loss = async (changed: readonly Float64Array[]): Promise<number> => {
    const results = await forward(reference, row, changed);
    return results[row.loss]!.reduce((sum, value, i) => sum + value * weights[i]!, 0);
  };
  const fromExact = await backward(reference, row, exact, weights);
  const fromRounded = await backward(reference, row, rounded, weights);
  const numerics = [];
  for (const input of row.toward) numerics.push(await centralDifferences(values, input, loss));
  return { weights, rounded, fromExact, fromRounded, numerics };
}

function uploadAll(backend: Backend, row: GradientCase, values: readonly Float64Array[]) {
  return row.inputs.map((input: Input, i) =>
    input.data instanceof Float32Array
      ? backend.upload(toPrecision(backend, values[i]!), 'f32')
      : upload(backend, input),
  );
}

/** Float64 for the reference, where it is not to be rounded; float32 for the others. */
function toPrecision(backend: Backend, values: Float64Array): Float32Array | Float64Array {
  return backend.supports.precision === 'f64' ? values : Float32Array.from(values);
}

async function forward(
  reference: Backend,
  row: GradientCase,
  values: readonly Float64Array[],
): Promise<Float64Array[]> {
  const operands = uploadAll(reference, row, values);
  const outputs = row.forward(reference.kernels as Kernels, operands);
  const results = await Promise.all(outputs.map((storage) => reference.read(storage)));
  for (const storage of [...operands, ...outputs]) reference.free(storage);
  return results.map(float64);
}

async function backward(
  backend: Backend,
  row: GradientCase,
  kept: readonly Float64Array[],
  weights: Float32Array,
): Promise<Backward> {
  const operands = uploadAll(
    backend,
    row,
    row.inputs.map((input) => float64(input.data)),
  );
  const results = kept.map((values) => backend.upload(toPrecision(backend, values), 'f32'));
  const dLoss = backend.upload(weights, 'f32');
  const outputs = row.backward(backend.kernels as Kernels, operands, results, dLoss);
  const raw = await Promise.all(outputs.map((storage) => backend.read(storage)));
  for (const storage of [...operands, ...results, dLoss, ...outputs]) backend.free(storage);
  return { gradients: raw.map(float64), raw };
}
