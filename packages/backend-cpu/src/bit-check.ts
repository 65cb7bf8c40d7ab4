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
