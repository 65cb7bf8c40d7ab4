import { checkRank } from './check-rank.ts';
import { reflectorOf } from './symmetric-eigen.ts';

/** M's first columns are Q R's. */
export interface Qr {
  /** Orthonormal columns, row-major: [rows, rank]. */
  readonly q: Float64Array;
  /** Q^T M, its first `rank` columns upper triangular: [rank, columns]. */
  readonly r: Float64Array;
}

/**
 * The first `rank` columns of Q and rows of R in M = Q R, by Householder reflections in float64. Signs are LAPACK's: an element
 * of R's diagonal has the sign opposite to what stood there before its reflection.
 * @param matrix row-major [rows, columns].
 * @param rank at most the smaller side.
 * @throws CoreError CORE_ARGUMENT for a rank that the matrix cannot have.
 */
export function truncatedQr(matrix: ArrayLike<number>, rows: number, columns: number, rank: number): Qr {
  checkRank('qr', rank, rows, columns);
  // Columns of M as rows, which the reflections go through one after another.
  const panel = Array.from({ length: rank }, (_, column) =>
    Float64Array.from({ length: rows }, (_row, row) => matrix[row * columns + column]!),
  );
  const reflectors = panel.map((column, k) => {
    const v = column.slice(k);
    const { beta } = reflectorOf(v);
    for (const later of panel.slice(k + 1)) reflect(later, k, v, beta);
    return { v, beta };
  });
  const q = new Float64Array(rows * rank);
  for (let k = 0; k < rank; k++) {
    const column = new Float64Array(rows);
    column[k] = 1;
    for (let step = rank - 1; step >= 0; step--) reflect(column, step, reflectors[step]!.v, reflectors[step]!.beta);
    for (let row = 0; row < rows; row++) q[row * rank + k] = column[row]!;
  }
  return { q, r: project(q, matrix, rows, columns, rank) };
}

/** x <- (I - beta v v^T) x from element `start` on. */
function reflect(x: Float64Array, start: number, v: Float64Array, beta: number): void {
  if (beta === 0) return;
  let dot = 0;
  for (let i = 0; i < v.length; i++) dot += v[i]! * x[start + i]!;
  const factor = beta * dot;
  for (let i = 0; i < v.length; i++) x[start + i] = x[start + i]! - factor * v[i]!;
}

/** Q^T M, with exact zeros below the diagonal. */
function project(
  q: Float64Array,
  matrix: ArrayLike<number>,
  rows: number,
  columns: number,
  rank: number,
): Float64Array {
  const r = new Float64Array(rank * columns);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < rank; k++) {
      const factor = q[row * rank + k]!;
      for (let column = k; column < columns; column++) {
        r[k * columns + column] = r[k * columns + column]! + factor * matrix[row * columns + column]!;
      }
    }
  }
  return r;
}
