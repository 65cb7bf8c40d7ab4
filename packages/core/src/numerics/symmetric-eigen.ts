/**
 * The largest eigenvalues of a symmetric matrix and their vectors: Householder reflections to a tridiagonal matrix, then the
 * implicit QL method (Golub & Van Loan, Matrix Computations, 4th ed., 8.3). Only +, -, *, / and square roots: the same bits on
 * every JavaScript engine.
 */

export interface Eigen {
  /** Descending: [top]. */
  readonly values: Float64Array;
  /** One eigenvector a row, of length 1: [top, n]. */
  readonly vectors: Float64Array;
}

/**
 * @param matrix [n, n], symmetric; it is overwritten.
 * @param top how many eigenvalues are wanted, at most n.
 */
export function largestEigen(matrix: Float64Array, n: number, top: number): Eigen {
  const scale = matrix.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  // Squares of what is far below 1 would vanish.
  if (scale > 0) for (let i = 0; i < matrix.length; i++) matrix[i] = matrix[i]! / scale;
  const { diagonal, beside, reflectors } = tridiagonal(matrix, n);
  const rotations = diagonalize(diagonal, beside);
  const order = Array.from(diagonal.keys()).toSorted((i, j) => diagonal[j]! - diagonal[i]! || i - j);
  const values = new Float64Array(top);
  const vectors = new Float64Array(top * n);
  for (let k = 0; k < top; k++) {
    const from = order[k]!;
    values[k] = diagonal[from]! * scale;
    const vector = vectors.subarray(k * n, (k + 1) * n);
    vector[from] = 1;
    rotations.applyReversed(vector);
    for (let step = reflectors.length - 1; step >= 0; step--) reflect(vector.subarray(step + 1), reflectors[step]!);
  }
  return { values, vectors };
}

/** I - beta v v^T. */
interface Reflector {
  readonly v: Float64Array;
  readonly beta: number;
}

interface Tridiagonal {
  readonly diagonal: Float64Array;
  /** Elements i, i + 1; the last is 0. */
  readonly beside: Float64Array;
  /** Number k acts on rows k + 1 and below. */
  readonly reflectors: readonly Reflector[];
}

function reflect(x: Float64Array, { v, beta }: Reflector): void {
  if (beta === 0) return;
  let dot = 0;
  for (let i = 0; i < v.length; i++) dot += v[i]! * x[i]!;
  const factor = beta * dot;
  for (let i = 0; i < v.length; i++) x[i] = x[i]! - factor * v[i]!;
}

/** Takes a symmetric matrix to a tridiagonal one by reflections from both sides. */
function tridiagonal(matrix: Float64Array, n: number): Tridiagonal {
  const diagonal = new Float64Array(n);
  const beside = new Float64Array(n);
  const reflectors: Reflector[] = [];
  for (let k = 0; k < n; k++) {
    diagonal[k] = matrix[k * n + k]!;
    if (k + 1 >= n) break;
    const size = n - k - 1;
    const v = matrix.slice(k * n + k + 1, (k + 1) * n);
    const { beta, head } = reflectorOf(v);
    beside[k] = head;
    reflectors.push({ v, beta });
    if (beta !== 0) applyFromBothSides(matrix, n, k + 1, size, v, beta);
  }
  return { diagonal, beside, reflectors };
}

/** Makes x the vector of a reflection that takes x to (head, 0, 0, ...). */
export function reflectorOf(x: Float64Array): { beta: number; head: number } {
  const first = x[0]!;
  let rest = 0;
  for (let i = 1; i < x.length; i++) rest += x[i]! * x[i]!;
  if (rest === 0) return { beta: 0, head: first };
  const norm = Math.sqrt(first * first + rest);
  const head = first < 0 ? norm : -norm;
  x[0] = first - head;
  return { beta: 2 / (x[0] * x[0] + rest), head };
}

/** M <- H M H for the lower right square of `size` rows from `start`, H = I - beta v v^T. */
function applyFromBothSides(
  matrix: Float64Array,
  n: number,
  start: number,
  size: number,
  v: Float64Array,
  beta: number,
): void {
  const w = new Float64Array(size);
  let crossed = 0;
  for (let i = 0; i < size; i++) {
    const at = (start + i) * n + start;
    let sum = 0;
    for (let j = 0; j < size; j++) sum += matrix[at + j]! * v[j]!;
    w[i] = beta * sum;
    crossed += w[i]! * v[i]!;
  }
  const half = (beta * crossed) / 2;
  for (let i = 0; i < size; i++) w[i] = w[i]! - half * v[i]!;
  for (let i = 0; i < size; i++) {
    const at = (start + i) * n + start;
    const vi = v[i]!;
    const wi = w[i]!;
    for (let j = 0; j < size; j++) matrix[at + j] = matrix[at + j]! - (vi * w[j]! + wi * v[j]!);
  }
}

/** Iterations for one eigenvalue; two or three are usual. */
const most = 60;

/** Implicit QL: `diagonal` becomes the eigenvalues; the rotations that made it so are what vectors are built of. */
function diagonalize(diagonal: Float64Array, beside: Float64Array): Rotations {
  const rotations = new Rotations();
  for (let low = 0; low < diagonal.length; low++) {
    for (let round = 0; round < most; round++) {
      const high = firstSmall(diagonal, beside, low);
      if (high === low) break;
      sweep(diagonal, beside, rotations, low, high);
    }
  }
  return rotations;
}

/**
 * Rotations of neighbouring rows, one after another. Their product is the matrix of all eigenvectors; run backwards on one row
 * of the identity they give one eigenvector, in a fraction of the time.
 */
class Rotations {
  #places = new Uint32Array(1024);
  #turns = new Float64Array(2048);
  #count = 0;

  /** Rows i and i + 1 become c x - s y and s x + c y. */
  add(i: number, cosine: number, sine: number): void {
    if (this.#count === this.#places.length) this.#grow();
    this.#places[this.#count] = i;
    this.#turns[2 * this.#count] = cosine;
    this.#turns[2 * this.#count + 1] = sine;
    this.#count++;
  }

  applyReversed(row: Float64Array): void {
    const places = this.#places;
    const turns = this.#turns;
    for (let k = this.#count - 1; k >= 0; k--) {
      const i = places[k]!;
      const cosine = turns[2 * k]!;
      const sine = turns[2 * k + 1]!;
      const x = row[i]!;
      const y = row[i + 1]!;
      row[i] = cosine * x + sine * y;
      row[i + 1] = cosine * y - sine * x;
    }
  }

  #grow(): void {
    const [places, turns] = [this.#places, this.#turns];
    this.#places = new Uint32Array(2 * places.length);
    this.#turns = new Float64Array(2 * turns.length);
    this.#places.set(places);
    this.#turns.set(turns);
  }
}

/** The first place from `low` where the matrix falls apart. */
function firstSmall(diagonal: Float64Array, beside: Float64Array, low: number): number {
  const n = diagonal.length;
  for (let m = low; m < n - 1; m++) {
    const size = Math.abs(diagonal[m]!) + Math.abs(diagonal[m + 1]!);
    if (Math.abs(beside[m]!) <= Number.EPSILON * size || Math.abs(beside[m]!) < 1e-150) {
      beside[m] = 0;
      return m;
    }
  }
  return n - 1;
}

/** One implicitly shifted step on rows `low` to `high`. */
function sweep(diagonal: Float64Array, beside: Float64Array, rotations: Rotations, low: number, high: number): void {
  const half = (diagonal[low + 1]! - diagonal[low]!) / (2 * beside[low]!);
  const root = Math.sqrt(half * half + 1);
  let g = diagonal[high]! - diagonal[low]! + beside[low]! / (half + (half < 0 ? -root : root));
  let sine = 1;
  let cosine = 1;
  let moved = 0;
  for (let i = high - 1; i >= low; i--) {
    const f = sine * beside[i]!;
    const b = cosine * beside[i]!;
    const r = Math.sqrt(f * f + g * g);
    beside[i + 1] = r;
    if (r === 0) {
      diagonal[i + 1] = diagonal[i + 1]! - moved;
      beside[high] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    g = diagonal[i + 1]! - moved;
    const turn = (diagonal[i]! - g) * sine + 2 * cosine * b;
    moved = sine * turn;
    diagonal[i + 1] = g + moved;
    g = cosine * turn - b;
    rotations.add(i, cosine, sine);
  }
  diagonal[low] = diagonal[low]! - moved;
  beside[low] = g;
  beside[high] = 0;
}
