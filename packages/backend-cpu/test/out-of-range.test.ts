import { BackendError, type Storage } from '@lowrank/core';
import type { CpuBackend } from '@lowrank/backend-cpu';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { finiteBytes, numbers, startEngines } from './engines.ts';

let backends: CpuBackend[] = [];
beforeAll(async () => {
  backends = await startEngines(2);
});
afterAll(() => Promise.all(backends.map((backend) => backend.dispose())));

/** Kernels that read what integers point at, with one integer too many among good ones. */
const cases: Record<string, { bad: number; run: (backend: CpuBackend) => Storage }> = {
  gatherQuantized: {
    bad: 5,
    run: (backend) => {
      const table = backend.uploadBlocks(finiteBytes(5 * 34, 1), 'q8_0', [5, 32]);
      return backend.kernels.gatherQuantized!(table, 'q8_0', 5, 32, backend.upload(Int32Array.of(0, 5), 'i32'), 2);
    },
  },
  rope: {
    bad: -1,
    run: (backend) => {
      const table = backend.upload(numbers(8, 1), 'f32');
      const positions = backend.upload(Int32Array.of(3, -1), 'i32');
      const spec = {
        tokens: 2,
        heads: 1,
        headSize: 4,
        rotary: 4,
        pairing: 'half',
        tableRows: 4,
        inverse: false,
      } as const;
      return backend.kernels.rope!(backend.upload(numbers(8, 2), 'f32'), table, table, positions, spec);
    },
  },
  crossEntropy: {
    bad: 3,
    run: (backend) => {
      const targets = backend.upload(Int32Array.of(2, 3), 'i32');
      return backend.kernels.crossEntropy!(backend.upload(numbers(6, 3), 'f32'), targets, 2, 3).losses;
    },
  },
};

it.each(Object.keys(cases))('%s reports an integer out of range, and the next read is whole again', async (kernel) => {
  const { bad, run } = cases[kernel]!;
  for (const backend of backends) {
    const result = run(backend);
    const failure: unknown = await backend.read(result).catch((error: unknown) => error);
    expect(failure, backend.engine).toBeInstanceOf(BackendError);
    expect(failure).toMatchObject({ code: 'BACKEND_KERNEL', kernel, value: bad });
    const values = await backend.read(result);
    expect([Number.isFinite(values[0]), values.at(-1)]).toEqual([true, Number.NaN]);
  }
});
