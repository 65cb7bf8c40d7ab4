import {
  add,
  addInto,
  backward,
  columnGain,
  exp,
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
