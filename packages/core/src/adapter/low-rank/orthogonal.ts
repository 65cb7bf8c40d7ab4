import type { RandomStream } from '../../random/random-stream.ts';
import type { LowRankStart } from './init.ts';

/** What PEFT multiplies both halves with. */
const gain = 0.1;

/**
 * A and B, neither zero, with B A = 0: rows 0, 2, 4... of an orthogonal Q span A, rows 1, 3, 5... span B.
 * A = (N_in Q[0::2])^T / 10 and B = N_out Q[1::2] / 10, with N_in [in, rank / 2] and N_out [out, rank / 2] from N(0, 1).
 * Computed in float64 and rounded once, so B A is 0 up to float32 rounding.
 */
export function orthogonalPair(
  inFeatures: number,
  outFeatures: number,
  rank: number,
  random: (purpose: string) => RandomStream,
): LowRankStart {
  const half = rank / 2;
  const q = orthogonalMatrix(random('Q').normal(rank * rank), rank);
  const normalIn = random('A').normal(inFeatures * half);
  const normalOut = random('B').normal(outFeatures * half);
  const a = new Float32Array(rank * inFeatures);
  const b = new Float32Array(outFeatures * rank);
  for (let k = 0; k < rank; k++) {
    for (let i = 0; i < inFeatures; i++) a[k * inFeatures + i] = gain * mix(normalIn, i * half, q, 0, k, half, rank);
    for (let o = 0; o < outFeatures; o++) b[o * rank + k] = gain * mix(normalOut, o * half, q, 1, k, half, rank);
  }
  return { a, b };
}

/** sum over j of values[start + j] Q[2j + parity, k]. */
function mix(
  values: Float32Array,
  start: number,
  q: Float64Array,
  parity: 0 | 1,
  k: number,
  half: number,
  rank: number,
): number {
  let sum = 0;
  for (let j = 0; j < half; j++) sum += values[start + j]! * q[(2 * j + parity) * rank + k]!;
  return sum;
}

/**
 * Q of a square matrix's QR decomposition, by modified Gram-Schmidt on the columns, each made orthogonal twice (Giraud et al.
 * 2005: twice is enough for orthogonality to rounding). Only +, *, / and square roots: the same bits on every engine.
 */
export function orthogonalMatrix(values: Float32Array, n: number): Float64Array {
  const q = Float64Array.from(values);
  for (let column = 0; column < n; column++) {
    for (let pass = 0; pass < 2; pass++) {
      for (let earlier = 0; earlier < column; earlier++) {
        addColumn(q, n, column, earlier, -dotColumns(q, n, column, earlier));
      }
    }
    const norm = Math.sqrt(dotColumns(q, n, column, column));
    for (let row = 0; row < n; row++) q[row * n + column] = q[row * n + column]! / norm;
  }
  return q;
}

function dotColumns(q: Float64Array, n: number, i: number, j: number): number {
  let sum = 0;
  for (let row = 0; row < n; row++) sum += q[row * n + i]! * q[row * n + j]!;
  return sum;
}

function addColumn(q: Float64Array, n: number, target: number, source: number, factor: number): void {
  for (let row = 0; row < n; row++) q[row * n + target] = q[row * n + target]! + factor * q[row * n + source]!;
}
