import { countingBackend, withoutKernels, type CountingBackend } from '@lowrank/conformance';
import {
  add,
  addInto,
  addProduct,
  backward,
  columnGain,
  exp,
  matmul,
  mul,
  scope,
  sum,
  tensor,
  type Backend,
  type Tensor,
} from '@lowrank/core';
import { describe, expect, test } from 'vitest';
import { bothWays } from '../support/backends.ts';

const make = (): Promise<Backend> => bothWays[0]!.make();
const row = (backend: Backend, ...values: number[]): Tensor => tensor(backend, values, [1, values.length]);

describe('a sum taken over', () => {
  test('is where the result lies, and no storage is added', async () => {
    const backend = await make();
    const [a, b] = [row(backend, 1, 2), row(backend, 10, 20)];
    const { liveStorages } = backend.memory();
    const y = addInto(a, b);
    expect(a.disposed).toBe(true);
    expect(backend.memory().liveStorages).toBe(liveStorages);
    expect([...(await y.data())]).toEqual([11, 22]);
    expect([...(await b.data())]).toEqual([10, 20]);
  });

  test('keeps its values where another handle has its storage', async () => {
    const backend = await make();
    const a = row(backend, 1, 2);
    const other = a.detach();
    expect([...(await addInto(a, row(backend, 10, 20)).data())]).toEqual([11, 22]);
    expect([...(await other.data())]).toEqual([1, 2]);
  });

  test('keeps its values where a gradient waits for them', async () => {
    const backend = await make();
    const x = row(backend, 1, 2);
    x.requiresGrad = true;
    const loss = scope(() => sum(addInto(exp(x), row(backend, 10, 20))));
    backward(loss);
    // exp's gradient reads its own result.
    const plain = [...(await x.grad!.data())];
    x.grad = undefined;
    backward(scope(() => sum(add(exp(x), row(backend, 10, 20)))));
    expect(plain).toEqual([...(await x.grad!.data())]);
    expect(plain[0]).toBeCloseTo(Math.E, 12);
  });

  test('keeps its values where it is trained itself', async () => {
    const backend = await make();
    const x = row(backend, 1, 2);
    x.requiresGrad = true;
    const storage = x.detach();
    backward(scope(() => sum(addInto(x, row(backend, 10, 20)))));
    expect([...(await storage.data())]).toEqual([1, 2]);
  });
});

describe('a product added to a sum', () => {
  const counted = async (): Promise<CountingBackend> => countingBackend(await make());
  const matrix = (backend: Backend, rows: number, columns: number): Tensor =>
    tensor(
      backend,
      Float64Array.from({ length: rows * columns }, (_, i) => i + 1),
      [rows, columns],
    );

  test('is where the sum lay, without memory for the product', async () => {
    const on = await counted();
    const [y, a, b] = [matrix(on, 2, 3), matrix(on, 2, 2), matrix(on, 2, 3)];
    const { liveStorages } = on.memory();
    on.resetCounts();
    const sum = addProduct(y, a, b);
    expect(y.disposed).toBe(true);
    expect([...on.counts().byKernel]).toEqual([['matmulAccumulate', 1]]);
    expect(on.memory().liveStorages).toBe(liveStorages);
    // [1 2; 3 4] [1 2 3; 4 5 6] = [9 12 15; 19 26 33].
    expect([...(await sum.data())]).toEqual([10, 14, 18, 23, 31, 39]);
  });

  test('leaves alone what another handle has', async () => {
    const on = await counted();
    const y = matrix(on, 2, 3);
    const other = y.detach();
    const sum = addProduct(y, matrix(on, 2, 2), matrix(on, 2, 3));
    expect([...(await sum.data())]).toEqual([10, 14, 18, 23, 31, 39]);
    expect([...(await other.data())]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('is refused where it has another size', async () => {
    const on = await counted();
    expect(() => addProduct(matrix(on, 3, 3), matrix(on, 2, 2), matrix(on, 2, 3))).toThrow(
      expect.objectContaining({ code: 'CORE_SHAPE' }),
    );
  });

  test('gradients of one tensor meet in the first that there is, trained or not', async () => {
    const on = await counted();
    const x = matrix(on, 4, 3);
    x.requiresGrad = true;
    const weights = [3, 3, 3].map((rows) => matrix(on, rows, 2));
    const loss = scope(() => sum(weights.map((w) => matmul(x, w)).reduce((y, part) => add(y, part))));
    on.resetCounts();
    backward(loss);
    const { byKernel } = on.counts();
    expect([byKernel.get('matmul'), byKernel.get('matmulAccumulate')]).toEqual([1, 2]);
    expect(byKernel.has('accumulate')).toBe(false);
    // Each row: three times the sums of rows of [1 2; 3 4; 5 6].
    expect([...(await x.grad!.data())]).toEqual([9, 21, 33, 9, 21, 33, 9, 21, 33, 9, 21, 33]);
    // A second backward adds to the gradient that there is.
    backward(scope(() => sum(matmul(x, weights[0]!))));
    expect([...(await x.grad!.data())].slice(0, 3)).toEqual([12, 28, 44]);
  });

  test('is not added into a gradient that is used elsewhere', async () => {
    // A residual: the gradient toward the sum is the one toward h and the one toward the product.
    const gradientOn = async (backend: Backend): Promise<number[]> => {
      const [h, w] = [matrix(backend, 2, 2), matrix(backend, 2, 2)];
      h.requiresGrad = true;
      const loss = scope(() => {
        const x = mul(h, h);
        return sum(mul(add(x, matmul(x, w)), add(x, matmul(x, w))));
      });
      backward(loss);
      return [...(await h.grad!.data())];
    };
    const composed = withoutKernels(await make(), ['matmulAccumulate']);
    expect(await gradientOn(await counted())).toEqual(await gradientOn(composed));
  });
});

describe('a gain of columns', () => {
  test('keeps its result for the gradient, and not what it multiplies', async () => {
    const backend = await make();
    const gain = tensor(backend, [2, -3], [2]);
    gain.requiresGrad = true;
    const x = row(backend, 5, 7);
    const { liveStorages } = backend.memory();
    const y = columnGain(mul(x, x), gain);
    x.dispose();
    // The product of before is the scope's that there is not; y is one storage, which the gradient shares.
    expect(backend.memory().liveStorages).toBe(liveStorages + 1);
    backward(scope(() => sum(y)));
    expect([...(await gain.grad!.data())]).toEqual([25, 49]);
  });

  test('of 0 gets the gradient 0, and no NaN', async () => {
    const backend = await make();
    const gain = tensor(backend, [0, 2], [2]);
    gain.requiresGrad = true;
    backward(scope(() => sum(columnGain(row(backend, 5, 7), gain))));
    expect([...(await gain.grad!.data())]).toEqual([0, 7]);
  });

  test('is refused where it has another number of columns', async () => {
    const backend = await make();
    expect(() => columnGain(row(backend, 1, 2), tensor(backend, [1, 2, 3], [3]))).toThrow(
      expect.objectContaining({ code: 'CORE_SHAPE' }),
    );
  });
});
