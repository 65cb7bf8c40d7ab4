/**
 * The largest singular values of a matrix and their vectors, in float64 and with the same bits on every JavaScript engine: the
 * eigenvectors of the smaller Gram matrix span the space, one-sided Jacobi rotations within it (Demmel & Veselic 1992) give values
 * to nearly full relative precision.
 *
 * A Gram matrix holds squares: directions whose singular value is below 1e-7 of the largest are lost in its rounding. Such a
 * direction is noise in any weight.
 */
import { CoreError } from '../errors/core-error.ts';
import { checkRank } from './check-rank.ts';
import { gramOfColumns } from './gram.ts';
import { largestEigen } from './symmetric-eigen.ts';

/** M is nearly the sum of values[k] * left[k]^T right[k]. */
export interface Svd {
  /** Descending, none negative: [rank]. */
  readonly values: Float64Array;
  /** Left singular vectors, one a row, orthonormal: [rank, rows]. */
  readonly left: Float64Array;
  /** Right singular vectors, one a row, orthonormal, the element of largest magnitude (the first of equals) positive: [rank, columns]. */
  readonly right: Float64Array;
}

/**
 * The best approximation of rank `rank` (Eckart & Young 1936).
 * @param matrix row-major [rows, columns], finite.
 * @param rank at most the smaller side.
 * @throws CoreError CORE_ARGUMENT for a rank that the matrix cannot have, CORE_NOT_FINITE for NaN or infinity in it.
 */
export function truncatedSvd(matrix: ArrayLike<number>, rows: number, columns: number, rank: number): Svd {
  checkRank('svd', rank, rows, columns);
  const values = finite(matrix, rows * columns);
  if (rows >= columns) {
    const { long, short, sizes } = tall(values, rows, columns, rank);
    return withSigns({ values: sizes, left: long, right: short }, rows, columns);
  }
  const { long, short, sizes } = tall(transposed(values, rows, columns), columns, rows, rank);
  return withSigns({ values: sizes, left: short, right: long }, rows, columns);
}

interface TallSvd {
  readonly sizes: Float64Array;
  /** [rank, rows]. */
  readonly long: Float64Array;
  /** [rank, columns]. */
  readonly short: Float64Array;
}

function tall(matrix: Float64Array, rows: number, columns: number, rank: number): TallSvd {
  const { vectors } = largestEigen(gramOfColumns(matrix, rows, columns), columns, rank);
  const images = imagesOf(matrix, rows, columns, vectors, rank);
  makeOrthogonal(images, rows, vectors, columns, rank);
  const lengths = Array.from({ length: rank }, (_, k) => Math.sqrt(dot(images, k, images, k, rows)));
  const order = Array.from(lengths.keys()).toSorted((i, j) => lengths[j]! - lengths[i]! || i - j);
  const sizes = new Float64Array(rank);
  const [long, short] = [new Float64Array(rank * rows), new Float64Array(rank * columns)];
  const least = Number.EPSILON * rows * lengths[order[0]!]!;
  order.forEach((from, k) => {
    const length = lengths[from]!;
    short.set(vectors.subarray(from * columns, (from + 1) * columns), k * columns);
    if (length <= least) return completeBasis(long, rows, k);
    sizes[k] = length;
    for (let i = 0; i < rows; i++) long[k * rows + i] = images[from * rows + i]! / length;
  });
  return { sizes, long, short };
}

/** M x for each vector x, one a row: [rank, rows]. */
function imagesOf(matrix: Float64Array, rows: number, columns: number, x: Float64Array, rank: number): Float64Array {
  const images = new Float64Array(rank * rows);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < rank; k++) images[k * rows + row] = dot(matrix, row, x, k, columns);
  }
  return images;
}

/** Most sweeps over all pairs; nearly orthogonal vectors need two. */
const mostSweeps = 40;

/** Rotates pairs of rows of `images` until all are orthogonal, and the rows of `vectors` with them. */
function makeOrthogonal(images: Float64Array, long: number, vectors: Float64Array, short: number, rank: number): void {
  for (let sweep = 0; sweep < mostSweeps; sweep++) {
    let rotated = false;
    for (let p = 0; p < rank; p++) {
      for (let q = p + 1; q < rank; q++) {
        const [a, b] = [dot(images, p, images, p, long), dot(images, q, images, q, long)];
        const crossed = dot(images, p, images, q, long);
        if (Math.abs(crossed) <= 1e-15 * Math.sqrt(a) * Math.sqrt(b)) continue;
        const half = (b - a) / (2 * crossed);
        const tangent = (half < 0 ? -1 : 1) / (Math.abs(half) + Math.sqrt(1 + half * half));
        const cosine = 1 / Math.sqrt(1 + tangent * tangent);
        rotate(images, p, q, long, cosine, cosine * tangent);
        rotate(vectors, p, q, short, cosine, cosine * tangent);
        rotated = true;
      }
    }
    if (!rotated) return;
  }
}

function rotate(rows: Float64Array, p: number, q: number, length: number, c: number, s: number): void {
  for (let i = 0; i < length; i++) {
    const x = rows[p * length + i]!;
    const y = rows[q * length + i]!;
    rows[p * length + i] = c * x - s * y;
    rows[q * length + i] = s * x + c * y;
  }
}

/** Makes row k a unit vector orthogonal to those before it: what stands beside a singular value of 0. */
function completeBasis(rows: Float64Array, length: number, k: number): void {
  const row = rows.subarray(k * length, (k + 1) * length);
  for (let axis = 0; axis < length; axis++) {
    row.fill(0);
    row[axis] = 1;
    for (let pass = 0; pass < 2; pass++) {
      for (let earlier = 0; earlier < k; earlier++) {
        const share = dot(rows, earlier, rows, k, length);
        for (let i = 0; i < length; i++) row[i] = row[i]! - share * rows[earlier * length + i]!;
      }
    }
    const norm = Math.sqrt(dot(rows, k, rows, k, length));
    // Of all axes one at least is this far from the k vectors.
    if (norm * norm * length < 0.5 * (length - k)) continue;
    for (let i = 0; i < length; i++) row[i] = row[i]! / norm;
    return;
  }
}

/** Turns each pair of vectors so that the right one's largest element is positive. */
function withSigns(svd: Svd, rows: number, columns: number): Svd {
  svd.values.forEach((_, k) => {
    const right = svd.right.subarray(k * columns, (k + 1) * columns);
    let largest = 0;
    for (const value of right) if (Math.abs(value) > Math.abs(largest)) largest = value;
    if (largest >= 0) return;
    for (let i = 0; i < columns; i++) right[i] = -right[i]!;
    for (let i = k * rows; i < (k + 1) * rows; i++) svd.left[i] = -svd.left[i]!;
  });
  return svd;
}

/** Row i of one matrix times row j of another. */
function dot(a: Float64Array, i: number, b: Float64Array, j: number, length: number): number {
  let sum = 0;
  for (let at = i * length, other = j * length, end = at + length; at < end; at++, other++) sum += a[at]! * b[other]!;
  return sum;
}

function transposed(values: Float64Array, rows: number, columns: number): Float64Array {
  const turned = new Float64Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) turned[column * rows + row] = values[row * columns + column]!;
  }
  return turned;
}

function finite(matrix: ArrayLike<number>, length: number): Float64Array {
  const values = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    const value = matrix[i]!;
    if (!Number.isFinite(value)) {
      throw new CoreError('CORE_NOT_FINITE', `svd: element ${i} is ${value}; a decomposition needs finite numbers`, {
        value,
      });
    }
    values[i] = value;
  }
  return values;
}
