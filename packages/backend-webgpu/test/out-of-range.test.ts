/** Kernels that read what integers point at cannot throw where one points nowhere: what it was for is NaN, the rest is whole. */
import { webgpu, type WebgpuBackend } from '@lowrank/backend-webgpu';
import type { Storage } from '@lowrank/core';
import { afterAll, beforeAll, expect, it } from 'vitest';

let backend: WebgpuBackend;
beforeAll(async () => {
  backend = await webgpu();
});
afterAll(() => backend.dispose());

const ones = (length: number): Storage => backend.upload(new Float32Array(length).fill(1), 'f32');

/** Two rows of a result: the first is right, the second asked for what is not there. */
const cases: Record<string, (bad: number) => Storage> = {
  gatherQuantized: (bad) => {
    const table = backend.uploadBlocks(new Uint8Array(5 * 34), 'q8_0', [5, 32]);
    return backend.kernels.gatherQuantized!(table, 'q8_0', 5, 32, backend.upload(Int32Array.of(4, bad), 'i32'), 2);
  },
  rope: (bad) => {
    const positions = backend.upload(Int32Array.of(4, bad), 'i32');
    const size = { tokens: 2, heads: 1, headSize: 6, rotary: 4, tableRows: 5 } as const;
    const table = ones(10);
    return backend.kernels.rope!(ones(12), table, table, positions, { ...size, pairing: 'half', inverse: false });
  },
};

it.each(Object.keys(cases).flatMap((kernel) => [5, -1].map((bad) => [kernel, bad] as const)))(
  '%s gives NaN for row %i of 5, and the others whole',
  async (kernel, bad) => {
    const values = [...(await backend.read(cases[kernel]!(bad)))];
    const half = values.length / 2;
    expect(values.slice(0, half).every(Number.isFinite)).toBe(true);
    expect(values.slice(half)).toEqual(Array.from({ length: half }, () => Number.NaN));
  },
);

it('crossEntropy gives NaN for a class that is not there, and the other losses whole', async () => {
  for (const columns of [3, 4]) {
    const targets = backend.upload(Int32Array.of(columns - 1, columns, -1), 'i32');
    const { losses } = backend.kernels.crossEntropy!(ones(3 * columns), targets, 3, columns);
    const [first, second, third] = await backend.read(losses);
    expect(first).toBeCloseTo(Math.log(columns), 5);
    expect([second, third]).toEqual([Number.NaN, 0]);
  }
});
