import { backward, mul, RandomStream, scope, sum, tensor, type Backend, type Tensor } from '@lowrank/core';
import { expect } from 'vitest';

/** An input of a gradient check: its shape, and how its values are spread. */
export interface CheckedInput {
  readonly shape: readonly number[];
  /** Values are uniform in [low, high); default [-1, 1). */
  readonly low?: number;
  readonly high?: number;
}

/** Values of an input: distinct by construction of the stream, the same each time. */
export function valuesOf({ shape, low = -1, high = 1 }: CheckedInput, name: string): Float64Array {
  const random = new RandomStream(7, name);
  const size = shape.reduce((a, b) => a * b, 1);
  return Float64Array.from({ length: size }, () => low + (high - low) * random.nextUniform());
}

/**
 * Checks gradients of `f` toward all inputs against central differences in float64.
 *
 * The loss is sum(f(x) * r) with fixed r in [-1, 1). A central difference of step h = 1e-4 (f(x+h) - f(x-h)) / 2h errs
 * by h^2 f''' / 6 and by rounding, a few 2^-53 |f| / h; Richardson's combination of h and 2h cancels the first to h^4.
 * With |f| and its derivatives up to a few hundred that is below 1e-9; 1e-8 (relative above 1) leaves room.
 */
export async function checkGradients(
  backend: Backend,
  inputs: readonly CheckedInput[],
  f: (...inputs: Tensor[]) => Tensor,
): Promise<void> {
  const values = inputs.map((input, i) => valuesOf(input, `input ${i}`));
  const loss = (changed: readonly Float64Array[], trainable: boolean): { value: Tensor; leaves: Tensor[] } => {
    const leaves = changed.map((data, i) => tensor(backend, data, inputs[i]!.shape));
    if (trainable) for (const leaf of leaves) leaf.requiresGrad = true;
    const y = f(...leaves);
    const weights = tensor(backend, valuesOf({ shape: y.shape }, 'weights'), y.shape);
    return { value: sum(mul(y, weights)), leaves };
  };
  const before = backend.memory().liveBytes;
  const { value, leaves } = scope(() => loss(values, true));
  backward(value);
  const gradients = await Promise.all(leaves.map(async (leaf) => leaf.grad?.data()));
  for (const each of [value, ...leaves]) each.dispose();
  expect(backend.memory().liveBytes, 'bytes live after backward').toBe(before);

  const at = async (which: number, i: number, delta: number): Promise<number> => {
    const changed = values.map((data) => data.slice());
    changed[which]![i]! += delta;
    const result = scope(() => loss(changed, false).value);
    const number = await result.item();
    result.dispose();
    return number;
  };
  const h = 1e-4;
  for (const [which, data] of values.entries()) {
    for (let i = 0; i < data.length; i++) {
      const difference = async (step: number): Promise<number> =>
        ((await at(which, i, step)) - (await at(which, i, -step))) / (2 * step);
      const expected = (4 * (await difference(h)) - (await difference(2 * h))) / 3;
      const found = gradients[which]?.[i];
      expect(Math.abs(found! - expected), `input ${which}, element ${i}: ${found} for ${expected}`).toBeLessThan(
        1e-8 * Math.max(1, Math.abs(expected)),
      );
    }
  }
}
