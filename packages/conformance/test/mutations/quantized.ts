/** Mistakes with blocks. */
import { after, before, scaled } from './mutation.ts';
import type { Mutation } from './mutation.ts';
import { numbersOf } from '../support/single.ts';
import type { Kernels } from '../support/single.ts';
import type { Storage } from '@lowrank/core';

export const quantizedMutations: readonly Mutation[] = [
  {
    name: 'matmulQuantizedAccumulate forgets what was there toward x',
    caughtBy: 'matmulQuantizedAccumulate',
    mutate: before('matmulQuantizedAccumulate', ([target, x, w, s]) => {
      if (s.transposed) numbersOf(target).fill(0);
      return [target, x, w, s];
    }),
  },
  {
    name: 'matmulQuantized takes the high nibble first',
    caughtBy: 'matmulQuantized',
    mutate: (k) => ({
      matmulQuantized(x, w, s) {
        // q4_0: two bytes of scale, then sixteen of weights.
        if (s.format === 'q4_0') changeBytes(w, (byte, i) => (i % 18 < 2 ? byte : (byte >> 4) | (byte << 4)));
        return k.matmulQuantized(x, w, s);
      },
    }),
  },
  {
    name: 'gatherQuantized takes signed weights for unsigned ones',
    caughtBy: 'gatherQuantized',
    mutate: (k) => ({
      gatherQuantized(table, format, rows, columns, indices, count) {
        if (format === 'q8_0') changeBytes(table, (byte, i) => (i % 34 < 2 ? byte : byte & 127));
        return k.gatherQuantized(table, format, rows, columns, indices, count);
      },
    }),
  },
  {
    name: 'matmulQuantized leaves the last row out toward x',
    caughtBy: 'matmulQuantized',
    mutate: (k) => ({
      matmulQuantized(x, w, s) {
        if (s.transposed) numbersOf(x).forEach((_, i, all) => i % s.rows === s.rows - 1 && (all[i] = 0));
        return k.matmulQuantized(x, w, s);
      },
    }),
  },
  {
    name: 'matmulQuantized takes the first block for the second',
    caughtBy: 'matmulQuantized',
    mutate: (k) => ({ matmulQuantized: (x, w, s) => wrongBlock(k, x, w, s) }),
  },
  {
    name: 'matmulQuantized with a scale off by one in ten thousand',
    caughtBy: 'matmulQuantized',
    mutate: after('matmulQuantized', scaled(1 + 1e-4)),
  },
  {
    name: 'gatherQuantized off by half a step',
    caughtBy: 'gatherQuantized',
    mutate: after('gatherQuantized', (y) => y.forEach((v, i) => (y[i] = v + 0.5e-3))),
  },
];

function wrongBlock(k: Kernels, x: Storage, w: Storage, s: Parameters<Kernels['matmulQuantized']>[2]): Storage {
  const bytes = bytesOf(w);
  const rowBytes = bytes.length / s.rows;
  const half = rowBytes / 2;
  if (s.rows > 0 && s.columns === 64) bytes.copyWithin(half, 0, half);
  return k.matmulQuantized(x, w, s);
}

function bytesOf(blocks: Storage): Uint8Array {
  return (blocks as unknown as { content: { bytes: Uint8Array } }).content.bytes;
}

function changeBytes(blocks: Storage, change: (byte: number, i: number) => number): void {
  bytesOf(blocks).forEach((byte, i, all) => (all[i] = change(byte, i)));
}
