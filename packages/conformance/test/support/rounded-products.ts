/** A backend of float32 for the suite's own tests that rounds the operands of its products first. */
import { decodeArray } from '@lowrank/core';
import type { Backend, Storage, Supports } from '@lowrank/core';
import { numbersOf, single } from './single.ts';
import type { Kernels } from './single.ts';

export type Rounding = (x: number) => number;

export const toNearest: Readonly<Record<'bf16' | 'f16', Rounding>> = {
  f16: (x) => new Float16Array([x])[0]!,
  bf16: (x) => fromBits(bitsOf(x) + 0x7fff + ((bitsOf(x) >>> 16) & 1), 0xffff_0000),
};

export const towardZero: Readonly<Record<'bf16' | 'f16', Rounding>> = {
  f16: (x) => fromBits(bitsOf(x), 0xffff_e000),
  bf16: (x) => fromBits(bitsOf(x), 0xffff_0000),
};

const word = new DataView(new ArrayBuffer(4));

function bitsOf(x: number): number {
  word.setFloat32(0, x);
  return word.getUint32(0);
}

function fromBits(bits: number, mask: number): number {
  word.setUint32(0, bits & mask);
  return word.getFloat32(0);
}

export interface RoundedProducts {
  /** What the manifest says. */
  readonly says: Supports['productOperands'];
  readonly operand: Rounding;
  /** What becomes of each sum. Default: it stays as it is. */
  readonly sum?: Rounding;
}

export async function roundedProducts({ says, operand, sum = (x) => x }: RoundedProducts): Promise<Backend> {
  const backend = await single();
  const kernels = backend.kernels as Kernels;
  /** Runs `body` while the storage holds other numbers. */
  const rounded = (storages: readonly Storage[], body: () => Storage): Storage => {
    const kept = [...new Set(storages)].map((storage) => [numbersOf(storage), numbersOf(storage).slice()] as const);
    for (const [numbers] of kept) numbers.forEach((x, i) => (numbers[i] = operand(x)));
    const result = body();
    for (const [numbers, own] of kept) numbers.set(own);
    const sums = numbersOf(result);
    sums.forEach((x, i) => (sums[i] = sum(x)));
    return result;
  };
  return {
    ...backend,
    name: 'rounded products',
    supports: { ...backend.supports, ...(says === undefined ? {} : { productOperands: says }) },
    kernels: {
      ...kernels,
      matmul: (a, b, spec) => rounded([a, b], () => kernels.matmul(a, b, spec)),
      matmulQuantized(x, weight, { format, m, rows, columns, transposed }) {
        const { bytes } = (weight as unknown as { content: { bytes: Uint8Array } }).content;
        const dense = backend.upload(decodeArray({ format, shape: [rows, columns], data: bytes }), 'f32');
        const [n, k] = transposed ? [columns, rows] : [rows, columns];
        const flags = { transposeA: false, transposeB: !transposed, batchA: true, batchB: true };
        const y = rounded([x, dense], () => kernels.matmul(x, dense, { batch: 1, m, n, k, ...flags }));
        backend.free(dense);
        return y;
      },
    },
  };
}
