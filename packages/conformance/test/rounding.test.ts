/** Bounds that the rounding backend carries hold for float32, and are no wider than a few times what float32 does. */
import { roundingBackend } from '@lowrank/conformance';
import {
  abs,
  add,
  backward,
  div,
  exp,
  gather,
  keep,
  log,
  matmul,
  max,
  mul,
  offset,
  permute,
  reciprocal,
  scope,
  sigmoid,
  slice,
  sqrt,
  sub,
  sum,
  tanh,
  tensor,
  type Backend,
  type Tensor,
} from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { uniform } from '../src/backend/inputs.ts';
import { single } from './support/single.ts';

const unit = 2 ** -24;
type Program = (x: Tensor, w: Tensor) => Tensor;

/** x [6, 5], w [5, 4]. Sums that cancel, quotients of small numbers, functions of functions. */
const programs: Readonly<Record<string, Program>> = {
  product: (x, w) => matmul(x, w),
  'product of products': (x, w) => matmul(matmul(x, w), w, { transposeB: true }),
  'weighted means': (x, w) => {
    const e = exp(matmul(x, w));
    return div(e, sum(e, { axis: -1, keepDims: true }));
  },
  norm: (x) => mul(x, reciprocal(sqrt(offset(sum(mul(x, x), { axis: -1, keepDims: true }), 1e-3)))),
  'difference of close numbers': (x) => sub(mul(offset(x, 100), offset(x, 100)), offset(mul(x, x), 1e4)),
  'functions of functions': (x, w) => add(tanh(matmul(x, w)), log(offset(sigmoid(matmul(x, w)), 0.5))),
  moved: (x, w) =>
    slice(permute(gather(matmul(x, w), tensor(x.backend, Int32Array.of(3, 3, 0), [3])), [1, 0]), 0, 1, 2),
  extremes: (x) => max(abs(x), { axis: 0 }),
};

/** Result and gradients, with `read` for each. */
async function run<T>(backend: Backend, program: Program, read: (result: Tensor) => Promise<T>): Promise<T[]> {
  const [x, w] = [
    keep(tensor(backend, uniform('rounding x', 30), [6, 5])),
    keep(tensor(backend, uniform('rounding w', 20), [5, 4])),
  ];
  for (const leaf of [x, w]) leaf.requiresGrad = true;
  const y = scope(() => program(x, w));
  backward(y, tensor(backend, uniform('rounding dy', y.size), y.shape));
  const results = [y, x.grad, w.grad].filter((result) => result !== undefined);
  return Promise.all(results.map(read));
}

describe('roundingBackend', () => {
  it.each(Object.keys(programs))('bounds what float32 makes of it: %s', async (name) => {
    const program = programs[name]!;
    const rounding = roundingBackend(unit);
    const got = await run(await single(), program, async (result) => result.data());
    const expected = await run(rounding, program, async (result) => ({
      value: await result.data(),
      error: rounding.errorOf(result.storage),
    }));
    expect(expected.length).toBe(got.length);
    for (const [r, { value, error }] of expected.entries()) {
      for (const [i, bound] of error.entries()) expect(Math.abs(got[r]![i]! - value[i]!)).toBeLessThanOrEqual(bound);
    }
  });

  it('is exact where nothing is rounded', async () => {
    const backend = roundingBackend(unit);
    const x = tensor(backend, Float32Array.of(1.5, -2), [2]);
    for (const result of [permute(x, [0]), abs(x), slice(x, 0, 1, 1), max(x)]) {
      expect([...backend.errorOf(result.storage)].every((error) => error === 0)).toBe(true);
    }
  });

  it('bounds one rounding by a unit, and a sum of n products by n of them', () => {
    const backend = roundingBackend(unit);
    const x = tensor(backend, Float32Array.of(3, 5, 7), [1, 3]);
    const [product] = backend.errorOf(mul(x, x).storage);
    expect(product! / (9 * unit)).toBeCloseTo(1.01, 2);
    // One more for a weight that is decoded on the way.
    const [dot] = backend.errorOf(matmul(x, x, { transposeB: true }).storage);
    expect(dot! / (83 * unit)).toBeCloseTo(4.04, 2);
  });

  it('adds what was said of a number', () => {
    const backend = roundingBackend(unit);
    const x = tensor(backend, Float32Array.of(2, -4), [2]);
    backend.loosen(x.storage, 2 ** -10);
    expect([...backend.errorOf(x.storage)]).toEqual([2 ** -9, 2 ** -8]);
    expect(backend.errorOf(sum(x).storage)[0]).toBeGreaterThanOrEqual(3 * 2 ** -9);
  });
});
