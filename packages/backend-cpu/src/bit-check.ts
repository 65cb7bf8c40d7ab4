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
  const left = backend.upload(new Float32Array([-1, x, -1, 2 * x]), 'f32');
  const right = backend.upload(new Float32Array(2 * columns).fill(rounded, 0, columns).fill(x, columns), 'f32');
  const spec = { batch: 1, m: 2, n: columns, k: 2, transposeA: false, transposeB: false, batchA: false, batchB: false };
  const product = backend.kernels.matmul(left, right, spec);
  const values = await backend.read(product);
  for (const storage of [left, right, product]) backend.free(storage);
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
  const left = backend.upload(Float32Array.from(values), 'f32');
  const right = backend.upload(
    Float32Array.from({ length: 3 * columns }, (_, i) => values[Math.floor(i / columns)]!),
    'f32',
  );
  const spec = { batch: 1, m: 1, n: columns, k: 3, transposeA: false, transposeB: false, batchA: false, batchB: false };
  const product = backend.kernels.matmul(left, right, spec);
  const sums = await backend.read(product);
  for (const storage of [left, right, product]) backend.free(storage);
  const expected = inBf16.reduce((sum, value) => sum + value * value, 0);
  return sums.every((sum) => sum === expected);
}
