import type { TypedArray } from '@lowrank/core';
import type { CpuBackend } from './backend.ts';

/** What multiply-adds were seen to do; `'wrong'`: neither rounding gives these results, so the engine must not be used. */
export type BitCheck = 'fused' | 'unfused' | 'wrong';

/** x^2 = 1 + 2^-11 + 2^-24, whose last bit only a fused multiply-add keeps. */
const x = 1 + 2 ** -12;
const rounded = 1 + 2 ** -11;
/** Wider than any vector, and not a multiple of one. */
const columns = 35;

/** Runs the product [[-1, x], [-1, 2x]] [[rounded], [x]]: x^2 - rounded and 2 x^2 - rounded, in each column. */
export async function checkBits(backend: CpuBackend): Promise<BitCheck> {
  const values = await product(backend, [-1, x, -1, 2 * x], [rounded, x]);
  const rows = (first: number, second: number): boolean =>
    values.every((value, index) => value === (index < columns ? first : second));
  if (rows(2 ** -24, rounded + 2 ** -23)) return 'fused';
  return rows(0, rounded) ? 'unfused' : 'wrong';
}

/** To nearest, ties to even, 1 + 2^-8 is 1 in bf16, 1 + 3 2^-8 is 1 + 2^-6, and 1 + 2^-8 + 2^-20 is 1 + 2^-7. */
const values = [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20];
const inBf16 = [1, 1 + 2 ** -6, 1 + 2 ** -7];

/** Whether products round both operands to bf16 and nothing else: here sums of 3 products are exact in f32. */
export async function roundsToBf16(backend: CpuBackend): Promise<boolean> {
  const sums = await product(backend, values, values);
  const expected = inBf16.reduce((sum, value) => sum + value * value, 0);
  return sums.every((sum) => sum === expected);
}

/** Rows of `left`, as many as there are, times a matrix each of whose columns is `right`. */
async function product(backend: CpuBackend, left: readonly number[], right: readonly number[]): Promise<TypedArray> {
  const [m, n, k] = [left.length / right.length, columns, right.length];
  const a = backend.upload(Float32Array.from(left), 'f32');
  const b = backend.upload(
    Float32Array.from({ length: k * n }, (_, i) => right[Math.floor(i / n)]!),
    'f32',
  );
  const spec = { batch: 1, m, n, k, transposeA: false, transposeB: false, batchA: false, batchB: false };
  const c = backend.kernels.matmul(a, b, spec);
  const values = await backend.read(c);
  for (const storage of [a, b, c]) backend.free(storage);
  return values;
}
