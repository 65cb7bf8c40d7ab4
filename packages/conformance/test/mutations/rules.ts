/** Mistakes with memory, order, manifest. */
import { after } from './mutation.ts';
import type { Mutation } from './mutation.ts';
import { numbersOf } from '../support/single.ts';
import type { Kernels } from '../support/single.ts';
import type { Backend, BackendError, Storage } from '@lowrank/core';

export const ruleMutations: readonly Mutation[] = [
  {
    name: 'upload keeps the caller’s array',
    caughtBy: 'rules',
    change(backend) {
      const kept = new Map<Storage, Float32Array | Float64Array>();
      return {
        ...backend,
        upload(data, dtype) {
          const storage = backend.upload(data, dtype);
          if (data instanceof Float32Array) kept.set(storage, data);
          return storage;
        },
        async read(storage) {
          await backend.read(storage);
          return kept.get(storage) ?? backend.read(storage);
        },
      };
    },
  },
  { name: 'free does nothing', caughtBy: 'rules', change: (backend) => ({ ...backend, free() {} }) },
  {
    name: 'free takes effect before the kernels queued',
    caughtBy: 'rules',
    mutate: () => ({}),
    change(backend) {
      return {
        ...backend,
        free(storage) {
          numbersOf(storage)?.fill?.(0);
          backend.free(storage);
        },
        kernels: { ...backend.kernels, matmul: lazyMatmul(backend) },
      };
    },
  },
  {
    name: 'a result is what the call before gave',
    caughtBy: 'rules',
    mutate: (() => {
      let stale: Float64Array = new Float64Array();
      return after('unary', (y) => {
        const own = y.slice();
        if (stale.length === y.length) y.set(stale);
        stale = own;
      });
    })(),
    message: /of two calls/,
  },
  {
    name: 'what is changed in place is left as it was',
    caughtBy: 'rules',
    change: (backend) => ({ ...backend, kernels: { ...backend.kernels, accumulate: () => undefined } }),
  },
  {
    name: 'a plugin with a copy of core: its errors are of another class',
    caughtBy: 'rules',
    change: (backend) => ({
      ...backend,
      read: (storage) =>
        backend.read(storage).catch((error: unknown) => {
          const { name, message, code } = error as BackendError;
          throw Object.assign(new Error(message), { name, code });
        }),
    }),
    message: /must fail with a BackendError, not one of another copy of @lowrank\/core/,
  },
  {
    name: 'blocks are given back in another order',
    caughtBy: 'rules',
    change: (backend) => ({
      ...backend,
      read: async (storage) => {
        const data = await backend.read(storage);
        return data instanceof Uint8Array ? data.reverse() : data;
      },
    }),
  },
  {
    name: 'another interface version',
    caughtBy: 'rules',
    change: (backend) => ({ ...backend, interfaceVersion: 2 as 1 }),
  },
  { name: 'peak is not reset', caughtBy: 'rules', change: (backend) => ({ ...backend, resetPeak() {} }) },
  { name: 'disposed is still usable', caughtBy: 'rules', change: (backend) => ({ ...backend, async dispose() {} }) },
  {
    name: 'other bits each time',
    caughtBy: 'rules',
    mutate: (() => {
      let calls = 0;
      return after('matmul', (y) => {
        if (y.length > 0) y[0]! *= 1 + 2 ** -23 * (calls++ % 2);
      });
    })(),
  },
];

/** Computes only after what is freed next: results are right only if the operands still hold. */
function lazyMatmul(backend: Backend): Kernels['matmul'] {
  return (a, b, spec) => {
    const result = backend.kernels.matmul(a, b, spec);
    const [left, right, y] = [numbersOf(a), numbersOf(b), numbersOf(result)];
    queueMicrotask(() => {
      if (left.length > 0 && left.every((v) => v === 0) && right.every((v) => v === 0)) y.fill(0);
    });
    return result;
  };
}
