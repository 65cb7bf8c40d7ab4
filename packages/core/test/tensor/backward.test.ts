import { countingBackend, reference } from '@lowrank/conformance';
import {
  add,
  backward,
  exp,
  gather,
  matmul,
  mul,
  noGrad,
  reshape,
  scale,
  scope,
  slice,
  sum,
  tensor,
  type Backend,
  type Tensor,
} from '@lowrank/core';
import { beforeEach, describe, expect, test } from 'vitest';
import { bothWays } from '../support/backends.ts';

let backend: Backend;
beforeEach(async () => {
  backend = await reference();
});
const trained = (...values: number[]): Tensor => {
  const x = tensor(backend, values, [values.length]);
  x.requiresGrad = true;
  return x;
};
const coded = (code: string): unknown => expect.objectContaining({ name: 'CoreError', code });
const gradient = async (x: Tensor): Promise<number[] | undefined> => {
  const data = await x.grad?.data();
  return data === undefined ? undefined : Array.from(data);
};

describe('backward', () => {
  test('adds up over all paths and over several passes', async () => {
    const x = trained(3);
    backward(reshape(add(mul(x, x), x), []));
    expect(await gradient(x)).toEqual([7]);
    backward(reshape(scale(x, 2), []));
    expect(await gradient(x)).toEqual([9]);
  });

  test('adds up where one gradient tensor serves several inputs', async () => {
    // add gives both inputs the same gradient; neither may change the other's.
    const [x, y] = [trained(1), trained(2)];
    backward(reshape(add(add(x, y), x), []));
    backward(reshape(x, []));
    expect(await gradient(x)).toEqual([3]);
    expect(await gradient(y)).toEqual([1]);
  });

  test('starts from a given gradient', async () => {
    const x = trained(1, 2);
    const seed = tensor(backend, [10, 100], [2]);
    backward(mul(x, x), seed);
    expect(await gradient(x)).toEqual([20, 400]);
    expect(Array.from(await seed.data())).toEqual([10, 100]);
  });

  test('of a parameter itself is the seed, and does not share it', async () => {
    const x = trained(5);
    const seed = tensor(backend, [2], [1]);
    backward(x, seed);
    backward(x, seed);
    expect(await gradient(x)).toEqual([4]);
    expect(Array.from(await seed.data())).toEqual([2]);
  });

  test('gives nothing to tensors that are not trained, or were detached', async () => {
    const [x, frozen] = [trained(2), tensor(backend, [3], [1])];
    const cut = mul(x, x).detach();
    backward(reshape(mul(mul(x, frozen), cut), []));
    expect(await gradient(x)).toEqual([12]);
    expect(frozen.grad).toBeUndefined();
    expect(cut.grad).toBeUndefined();
  });

  test('takes the order of operations, not of creation of their consumers', async () => {
    // A late branch from an early tensor: its gradient must arrive before the early operation runs back.
    const x = trained(2);
    const early = mul(x, x);
    const late = exp(scale(early, 0));
    backward(reshape(add(mul(early, late), early), []));
    // d/dx (x^2 exp(0 x^2) + x^2) = 4x.
    expect(await gradient(x)).toEqual([8]);
  });

  test('goes through thousands of operations', async () => {
    const x = trained(1);
    const y = scope(() => {
      let sum = scale(x, 1);
      for (let i = 0; i < 5000; i++) sum = add(sum, x);
      return reshape(sum, []);
    });
    backward(y);
    expect(await gradient(x)).toEqual([5001]);
    y.dispose();
    expect(backend.memory().liveStorages).toBe(2);
  });

  test('a graph that long is freed without backward as well', () => {
    const x = trained(1);
    scope(() => {
      let product = mul(x, x);
      for (let i = 0; i < 20_000; i++) product = mul(product, x);
      return undefined;
    });
    expect(backend.memory().liveStorages).toBe(1);
  });
});

describe('backward refuses', () => {
  test('a tensor with nothing trainable behind it', () => {
    const x = tensor(backend, [1], []);
    expect(() => backward(x)).toThrow(coded('CORE_NO_GRADIENT'));
    const parameter = trained(1);
    expect(() => backward(noGrad(() => sum(parameter)))).toThrow(coded('CORE_NO_GRADIENT'));
  });

  test('several elements without a seed', () => {
    expect(() => backward(mul(trained(1, 2), trained(1, 2)))).toThrow(coded('CORE_SHAPE'));
  });

  test('a seed of another shape or backend', async () => {
    const y = scale(trained(1, 2), 2);
    expect(() => backward(y, tensor(backend, [1, 2, 3], [3]))).toThrow(coded('CORE_SHAPE'));
    expect(() => backward(y, tensor(backend, [1, 2], [1, 2]))).toThrow(coded('CORE_SHAPE'));
    const foreign = tensor(await reference(), [1, 2], [2]);
    expect(() => backward(y, foreign)).toThrow(coded('CORE_MIXED_BACKENDS'));
  });

  test('a graph that was used before, wholly or in part', () => {
    const x = trained(3);
    const shared = mul(x, x);
    const [first, second] = [sum(shared), sum(shared)];
    backward(first);
    expect(() => backward(first)).toThrow(coded('CORE_NO_GRADIENT'));
    expect(() => backward(second)).toThrow(/already used/);
  });
});

describe('memory of backward', () => {
  test('nothing but the gradients is left when the loss is disposed', () => {
    const x = trained(1, 2, 3);
    const loss = scope(() => sum(exp(mul(x, x))));
    backward(loss);
    loss.dispose();
    expect(backend.memory().liveStorages).toBe(2);
  });

  test('nothing is left of a failed pass', () => {
    const x = trained(1, 2, 3);
    const shared = scope(() => mul(x, x));
    const loss = scope(() => sum(exp(shared)));
    scope(() => backward(sum(shared)));
    expect(() => backward(loss)).toThrow(/already used/);
    x.grad = undefined;
    loss.dispose();
    shared.dispose();
    expect(backend.memory().liveStorages).toBe(1);
  });

  test('saved values go as soon as their operation has run back', () => {
    const x = tensor(backend, new Float64Array(1000), [1000]);
    x.requiresGrad = true;
    const depth = 10;
    const loss = scope(() => {
      let y = exp(x);
      for (let i = 1; i < depth; i++) y = exp(y);
      return sum(y);
    });
    backend.resetPeak();
    const before = backend.memory().liveBytes;
    backward(loss);
    // On top of what was live: the gradient toward a result and the one toward its input, 8 kB each, and one seed broadcast.
    expect(backend.memory().peakBytes - before).toBeLessThanOrEqual(4 * 8000);
    expect(backend.memory().liveBytes).toBeLessThan(3 * 8000);
  });
});

describe('frozen means free', () => {
  for (const { name, make } of bothWays) {
    test(`a frozen factor is never multiplied for, nor saved for (${name})`, async () => {
      const on = countingBackend(await make());
      const [frozen, lower, upper] = [
        tensor(on, new Float64Array(64 * 32), [64, 32]),
        tensor(on, new Float64Array(32 * 4), [32, 4]),
        tensor(on, new Float64Array(4 * 8), [4, 8]),
      ];
      upper.requiresGrad = true;
      const x = tensor(on, new Float64Array(5 * 64), [5, 64]);
      on.resetCounts();
      const loss = scope(() => sum(matmul(matmul(matmul(x, frozen), lower), upper)));
      expect(on.counts().byKernel.get('matmul')).toBe(3);
      on.resetCounts();
      backward(loss);
      // Backward stops at the lowest trained factor: one product, for `upper`.
      const products = on.counts().calls.filter(({ kernel }) => kernel === 'matmul');
      expect(products.map(({ results }) => results)).toEqual([[4 * 8]]);
      expect([x, frozen, lower].map(({ grad }) => grad)).toEqual([undefined, undefined, undefined]);
    });
  }

  test('below the lowest trained tensor nothing is recorded or kept', async () => {
    const on = await reference();
    const x = tensor(on, new Float64Array(1000), [1, 1000]);
    const weight = tensor(on, new Float64Array(1000), [1000, 1]);
    weight.requiresGrad = true;
    const before = on.memory().liveBytes;
    const loss = scope(() => {
      let hidden = x;
      for (let i = 0; i < 10; i++) hidden = exp(hidden);
      expect(hidden.requiresGrad).toBe(false);
      return sum(matmul(hidden, weight));
    });
    // One activation, saved for the weight's gradient, and the loss.
    expect(on.memory().liveBytes - before).toBe(8000 + 8);
    loss.dispose();
  });

  test('slices, gathers and sums toward a frozen operand cost nothing', async () => {
    const on = countingBackend(await reference());
    const table = tensor(on, new Float64Array(100), [10, 10]);
    const bias = tensor(on, new Float64Array(10), [10]);
    bias.requiresGrad = true;
    const rows = gather(table, tensor(on, Int32Array.of(1, 2), [2]));
    const loss = scope(() => sum(add(slice(rows, 0, 0, 2), bias)));
    on.resetCounts();
    backward(loss);
    const { byKernel } = on.counts();
    expect(byKernel.get('scatterAdd')).toBeUndefined();
    expect(byKernel.get('writeSlice')).toBeUndefined();
  });
});
