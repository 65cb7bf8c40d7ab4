import { reference } from '@lowrank/conformance';
import {
  add,
  backward,
  CoreError,
  keep,
  mul,
  noGrad,
  reshape,
  scope,
  sum,
  tensor,
  type Backend,
  type Tensor,
} from '@lowrank/core';
import { beforeEach, describe, expect, test } from 'vitest';

let backend: Backend;
beforeEach(async () => {
  backend = await reference();
});
const live = (): number => backend.memory().liveStorages;
const vector = (...values: number[]): Tensor => tensor(backend, values, [values.length]);
const coded = (code: string): unknown => expect.objectContaining({ name: 'CoreError', code });

describe('a tensor', () => {
  test('has copied the values it was made from', async () => {
    const values = Float64Array.of(1, 2);
    const x = tensor(backend, values, [2]);
    values[0] = 9;
    expect(Array.from(await x.data())).toEqual([1, 2]);
  });

  test('is refused where values and shape do not fit, or the shape is none', () => {
    expect(() => tensor(backend, [1, 2, 3], [2, 2])).toThrow(coded('CORE_SHAPE'));
    expect(() => tensor(backend, [1], [-1])).toThrow(coded('CORE_SHAPE'));
    expect(() => tensor(backend, [1], [0.5])).toThrow(coded('CORE_SHAPE'));
    expect(() => tensor(backend, new Uint8Array(2), [2])).toThrow(coded('CORE_DTYPE'));
    expect(live()).toBe(0);
  });

  test('of size 0 or of no axes is a tensor as well', async () => {
    expect(Array.from(await tensor(backend, [], [0, 3]).data())).toEqual([]);
    const scalar = tensor(backend, [5], []);
    expect(scalar.size).toBe(1);
    expect(await scalar.item()).toBe(5);
  });

  test('of several elements has no item', async () => {
    await expect(vector(1, 2).item()).rejects.toThrow(coded('CORE_SHAPE'));
  });

  test('of i32 cannot be trained', () => {
    const x = tensor(backend, Int32Array.of(1), [1]);
    expect(() => {
      x.requiresGrad = true;
    }).toThrow(coded('CORE_DTYPE'));
  });

  test('made by a recorded operation cannot become a parameter', () => {
    const x = vector(1);
    x.requiresGrad = true;
    const y = add(x, x);
    expect(() => {
      y.requiresGrad = true;
    }).toThrow(coded('CORE_NO_GRADIENT'));
    const detached = y.detach();
    detached.requiresGrad = true;
    expect(detached.requiresGrad).toBe(true);
  });
});

describe('ownership', () => {
  test('storage is freed with the last tensor that shares it', async () => {
    const x = vector(1, 2, 3, 4);
    const view = reshape(x, [2, 2]);
    const other = x.detach();
    x.dispose();
    expect(live()).toBe(1);
    expect(Array.from(await view.data())).toEqual([1, 2, 3, 4]);
    view.dispose();
    expect(live()).toBe(1);
    other.dispose();
    expect(live()).toBe(0);
  });

  test('disposing twice is harmless, use after it is an error that says what to do', async () => {
    const x = vector(1);
    x.dispose();
    x.dispose();
    expect(x.disposed).toBe(true);
    expect(() => add(x, x)).toThrow(coded('CORE_DISPOSED'));
    expect(() => x.detach()).toThrow(coded('CORE_DISPOSED'));
    await expect(x.data()).rejects.toThrow(/keep\(...\)/);
  });

  test('`using` disposes at the end of a block', () => {
    {
      using x = vector(1);
      expect(x.disposed).toBe(false);
      expect(live()).toBe(1);
    }
    expect(live()).toBe(0);
  });

  test('a gradient goes with its tensor, and when it is replaced', () => {
    const x = vector(1);
    x.requiresGrad = true;
    scope(() => backward(sum(x)));
    expect(live()).toBe(2);
    x.grad = undefined;
    expect(live()).toBe(1);
    scope(() => backward(sum(x)));
    x.dispose();
    expect(live()).toBe(0);
  });
});

describe('a scope', () => {
  test('frees what is made in it but what it returns, alone or in arrays, maps and plain objects', () => {
    const made = scope(() => {
      const x = vector(1);
      vector(2);
      return { x, list: [vector(3), [vector(4)]], map: new Map([['y', vector(5)]]), number: 1 };
    });
    expect(live()).toBe(4);
    expect(made.x.disposed).toBe(false);
    expect(made.map.get('y')!.disposed).toBe(false);
  });

  test('hands what it returns to the scope around it', () => {
    scope(() => {
      const inner = scope(() => vector(1));
      expect(inner.disposed).toBe(false);
      expect(live()).toBe(1);
      return undefined;
    });
    expect(live()).toBe(0);
  });

  test('leaves tensors alone that were made outside', () => {
    const outside = vector(1);
    scope(() => {
      add(outside, outside);
      return outside;
    });
    expect(outside.disposed).toBe(false);
    expect(live()).toBe(1);
  });

  test('lets go of what keep() takes out, through all scopes', () => {
    const kept: Tensor[] = [];
    scope(() => {
      scope(() => {
        kept.push(keep(vector(1)));
        return undefined;
      });
      return undefined;
    });
    expect(kept[0]!.disposed).toBe(false);
    expect(live()).toBe(1);
  });

  test('frees everything when the callback throws, and the scope around it goes on', () => {
    scope(() => {
      const before = vector(1);
      expect(() =>
        scope(() => {
          vector(2);
          throw new Error('from inside');
        }),
      ).toThrow('from inside');
      expect(live()).toBe(1);
      vector(3);
      return before.dispose();
    });
    expect(live()).toBe(0);
  });

  test('refuses a callback that returns a promise', () => {
    const asynchronous = (() => Promise.resolve(vector(1))) as unknown as () => undefined;
    expect(() => scope(asynchronous)).toThrow(coded('CORE_ARGUMENT'));
    expect(live()).toBe(0);
  });

  test('frees what a view was made of, and the view keeps the storage', async () => {
    const view = scope(() => reshape(vector(1, 2), [2, 1]));
    expect(live()).toBe(1);
    expect(Array.from(await view.data())).toEqual([1, 2]);
    view.dispose();
    expect(live()).toBe(0);
  });

  test('frees a recorded graph with the tensors that hold it', () => {
    const x = vector(1, 2);
    x.requiresGrad = true;
    scope(() => {
      const y = mul(x, mul(x, x));
      expect(y.requiresGrad).toBe(true);
      // x, x * x (saved by the outer product), y.
      expect(live()).toBe(3);
      return undefined;
    });
    expect(live()).toBe(1);
  });
});

test('noGrad records nothing, inside of a recorded pass too, and ends with an error', () => {
  const x = vector(1);
  x.requiresGrad = true;
  expect(noGrad(() => add(x, x)).requiresGrad).toBe(false);
  expect(() =>
    noGrad(() => {
      throw new CoreError('CORE_ARGUMENT', 'thrown');
    }),
  ).toThrow('thrown');
  expect(add(x, x).requiresGrad).toBe(true);
});
