/**
 * How far a kernel may be from float64: every bound of the suite, each with its derivation.
 *
 * u is the unit roundoff of the backend's arithmetic: 2^-24 for f32, 2^-53 for f64. A rounded operation is off by u
 * relative; gamma(n) = n u / (1 - n u) bounds n of them in a row, so a sum of n products is off by at most
 * gamma(n) * sum |products| in any order of summation, fused or not (Higham, Accuracy and Stability of Numerical
 * Algorithms, 2nd ed., sections 3.1 and 4.2). The sums of magnitudes are evaluated here on the case's own inputs, so the
 * bounds hold, and stay tight, under cancellation.
 *
 * Functions may be as inaccurate as WGSL allows (WebGPU Shading Language, section 15.7.4, "Accuracy of numeric
 * functions"); every other platform is more exact. One ULP is at most 2u relative. Terms of order u^2 are covered by the
 * factor `slack`. float32 results below 2^-126 may be flushed to zero (`tiny`).
 *
 * Tolerances are absolute, one for each element. Infinity: the interface leaves the element open.
 */
import type {
  AdamWSpec,
  AttentionSpec,
  BinaryOp,
  MatmulSpec,
  QuantizedMatmulSpec,
  ReduceOp,
  RopeSpec,
  UnaryOp,
} from '@lowrank/core';
import { forEachRow } from '../reference/attention.ts';
import { scatterAdd } from '../reference/indexing.ts';
import { matmul } from '../reference/matmul.ts';
import { reduce } from '../reference/reduce.ts';
import { rope } from '../reference/rope.ts';
import { logSumExp as logSumExpOf } from '../reference/softmax.ts';
import type { Tolerance } from './case.ts';
import { operandError, operandRoundoff, productFormats, type ProductOperands } from './product-operands.ts';

type Values = ArrayLike<number>;

export function unitRoundoff(precision: 'f32' | 'f64'): number {
  return precision === 'f32' ? 2 ** -24 : 2 ** -53;
}

/** (1 + u)^n - 1 for the n in use, to first order, is exact to 1 %: n u stays below 1e-3. */
const slack = 1.01;

function gamma(n: number, u: number): number {
  return (n * u) / (1 - n * u);
}

/** Smallest normal float32: results below may become zero. Products of float64 do not get there. */
function tiny(u: number): number {
  return u === 2 ** -24 ? 2 ** -126 : 0;
}

/** |value| * relative, where an exact zero stays one however large `relative` is. */
function of(value: number, relative: number): number {
  return value === 0 || relative === 0 ? 0 : Math.abs(value) * relative;
}

function absolute(x: Values): Float64Array {
  const out = new Float64Array(x.length);
  for (let i = 0; i < out.length; i++) out[i] = Math.abs(x[i]!);
  return out;
}

function each(length: number, at: (i: number) => number, u: number): Tolerance {
  const out = new Float64Array(length);
  const least = tiny(u);
  for (let i = 0; i < length; i++) out[i] = slack * at(i) + least;
  return out;
}

// ---- Functions: relative errors ----

const ULP = 2;
/** 2.5 ULP. */
const division = (u: number): number => 2.5 * ULP * u;
/** inverseSqrt 2 ULP, then a division. */
const squareRoot = (u: number): number => 2 * ULP * u + division(u);
/** exp(x): 3 + 2|x| ULP. */
const exponential = (x: number, u: number): number => (3 + 2 * Math.abs(x)) * ULP * u;
/** exp(a - b): the difference is rounded once. */
const exponentialOfDifference = (d: number, u: number): number => exponential(d, u) + Math.abs(d) * u;
/** 1 / (1 + exp(-x)): the error of exp counts by its share of the sum, 1 - sigmoid; then a sum and a division. */
const sigmoid = (x: number, u: number): number => {
  const share = 1 / (1 + Math.exp(x));
  return of(share, exponential(x, u)) + u + division(u);
};

/** log(x), absolute: 3 ULP of the result, and 2^-21 = 8u between 1/2 and 2. */
const logarithm = (result: number, u: number): number => Math.max(3 * ULP * u * Math.abs(result), 8 * u);

/** Nothing is computed, only moved. */
export function exact(length: number): Tolerance {
  return new Float64Array(length);
}

/** One rounding of each result. */
export function rounded(expected: Values, u: number): Tolerance {
  return each(expected.length, (i) => of(expected[i]!, u), u);
}

// ---- Primitives ----

export function unary(op: UnaryOp, x: Values, y: Values, u: number): Tolerance {
  const relative: Record<UnaryOp, (x: number) => number> = {
    neg: () => 0,
    abs: () => 0,
    sign: () => 0,
    exp: (v) => exponential(v, u),
    log: () => 0,
    sqrt: () => squareRoot(u),
    reciprocal: () => division(u),
    tanh: () => 8 * ULP * u,
    sigmoid: (v) => sigmoid(v, u),
  };
  // exp(-x) overflows float32 below x = -88, where sigmoid is less than `tiny`. tanh may be 1 - 2 / (exp(2x) + 1): its
  // errors are 3 + 4|x| ULP of the quotient, less than 8 ULP of 1 at any x since the quotient falls as exp(-2x).
  const extra = (i: number): number => {
    if (op === 'log') return logarithm(y[i]!, u);
    return op === 'tanh' ? 8 * ULP * u : 0;
  };
  return each(x.length, (i) => of(y[i]!, relative[op](x[i]!)) + extra(i), u);
}

export function binary(op: BinaryOp, y: Values, u: number): Tolerance {
  const relative = op === 'div' ? division(u) : op === 'add' || op === 'sub' || op === 'mul' ? u : 0;
  return each(y.length, (i) => of(y[i]!, relative), u);
}

/** n terms: n - 1 additions. Maxima and minima are exact. */
export function reduction(op: ReduceOp, x: Values, outer: number, axis: number, inner: number, u: number): Tolerance {
  if (op !== 'sum') return each(outer * inner, () => 0, u);
  const sums = reduce('sum', absolute(x), outer, axis, inner);
  return each(sums.length, (i) => of(sums[i]!, gamma(axis, u)), axis * u);
}

/** k products: gamma(k) sum |a b|. Of operands that may be rounded first, see `roundedProduct`. */
export function product(
  a: Values,
  b: Values,
  spec: MatmulSpec,
  u: number,
  operands?: ProductOperands,
  roundings: number = spec.k,
): Tolerance {
  if (operands !== undefined) {
    const [errorA, errorB] = [a, b].map((x) => Float64Array.from(x, (value) => operandError(operands, value)));
    return roundedProduct(a, errorA!, b, errorB!, spec, roundings, u);
  }
  const sums = matmul(absolute(a), absolute(b), spec);
  return each(sums.length, (i) => of(sums[i]!, gamma(roundings, u)), u);
}

/**
 * Products that go on from a target have k additions beside a product's rounding, in any order: gamma(k + 1) (|target| + sum |a b|).
 * A product that is rounded by itself and then added stays within that.
 */
export function accumulated(
  target: Values,
  a: Values,
  b: Values,
  spec: MatmulSpec,
  u: number,
  operands?: ProductOperands,
  roundings: number = spec.k + 1,
): Tolerance {
  return onTarget(target, product(a, b, spec, u, operands, roundings), roundings, u);
}

function onTarget(target: Values, tolerance: Tolerance, roundings: number, u: number): Tolerance {
  return each(target.length, (i) => tolerance[i]! + of(target[i]!, gamma(roundings, u)), u);
}

/**
 * Operands that are off by `errorA` and `errorB` when they are multiplied:
 * |a' b' - a b| <= |a| errorB + errorA (|b| + errorB), and gamma(roundings) sum |a' b'| for the sum of what is multiplied.
 */
function roundedProduct(
  a: Values,
  errorA: Float64Array,
  b: Values,
  errorB: Float64Array,
  spec: MatmulSpec,
  roundings: number,
  u: number,
): Tolerance {
  const [sizeA, sizeB] = [absolute(a), absolute(b)];
  const largestB = sizeB.map((size, i) => size + errorB[i]!);
  const fromB = matmul(sizeA, errorB, spec);
  const fromA = matmul(errorA, largestB, spec);
  const sums = matmul(
    sizeA.map((size, i) => size + errorA[i]!),
    largestB,
    spec,
  );
  const tolerance = each(sums.length, (i) => fromA[i]! + fromB[i]! + of(sums[i]!, gamma(roundings, u)), u);
  // Infinitely many times nothing: an operand that became infinite against a zero.
  const overflows = errorA.includes(Infinity) || errorB.includes(Infinity);
  return overflows ? tolerance.map((bound) => (Number.isNaN(bound) ? Infinity : bound)) : tolerance;
}

/** Rows added to one: as many additions as the row has sources. */
export function scatter(source: Values, indices: Int32Array, rows: number, columns: number, u: number): Tolerance {
  const counts = new Float64Array(rows);
  for (const row of indices) counts[row]!++;
  const sums = scatterAdd(absolute(source), indices, rows, columns);
  return each(sums.length, (i) => of(sums[i]!, gamma(counts[Math.floor(i / columns)]!, u)), u);
}

// ---- Quantized ----

/**
 * Blocks decode with one rounding, which may be fused with the product: gamma(k + 1) sum |x w|. Where operands are rounded, it comes
 * before: the weight that is rounded is off by u.
 */
export function quantizedProduct(
  x: Values,
  weight: Values,
  spec: QuantizedMatmulSpec,
  u: number,
  operands?: ProductOperands,
  additions = 0,
): Tolerance {
  const [n, k] = spec.transposed ? [spec.columns, spec.rows] : [spec.rows, spec.columns];
  const flags = { transposeA: false, transposeB: !spec.transposed, batchA: false, batchB: false };
  const shape: MatmulSpec = { batch: 1, m: spec.m, n, k, ...flags };
  if (operands !== undefined) {
    const errorX = Float64Array.from(x, (value) => operandError(operands, value));
    const errorW = Float64Array.from(weight, (value) => operandError(operands, value, Math.abs(value) * u));
    return roundedProduct(x, errorX, weight, errorW, shape, k + 1 + additions, u);
  }
  const sums = matmul(absolute(x), absolute(weight), shape);
  return each(sums.length, (i) => of(sums[i]!, gamma(k + 1 + additions, u)), u);
}

/** As `accumulated`, with the rounding of the decoded weight. */
export function accumulatedQuantized(
  target: Values,
  x: Values,
  weight: Values,
  spec: QuantizedMatmulSpec,
  u: number,
  operands?: ProductOperands,
): Tolerance {
  const roundings = (spec.transposed ? spec.rows : spec.columns) + 2;
  return onTarget(target, quantizedProduct(x, weight, spec, u, operands, 1), roundings, u);
}

// ---- Activations ----

/** Where exp(-x) overflows float32 (x < -88.7), x / inf = 0 instead of a value below (1 + |x|) tiny. */
const lost = (x: number, u: number): number => (1 + Math.abs(x)) * tiny(u);

const siluAt = (x: number): number => x / (1 + Math.exp(-x));

export function silu(x: Values, factor: (i: number) => number, u: number): Tolerance {
  const at = (i: number): number => of(siluAt(x[i]!), sigmoid(x[i]!, u) + 3 * u) + lost(x[i]!, u);
  return each(x.length, (i) => of(factor(i), 1) * at(i), u);
}

/**
 * s (1 + x (1 - s)), the form in which most is lost: 1 - s is off by u + s sigmoid(x), times |x| s; the rest is the
 * relative error of s and four roundings.
 */
export function siluSlope(x: Values, factor: (i: number) => number, u: number): Tolerance {
  const at = (v: number): number => {
    const s = 1 / (1 + Math.exp(-v));
    const terms = s * (1 + Math.abs(v) * (1 - s));
    return of(terms, sigmoid(v, u) + 5 * u) + of(v * s, 2 * u + of(s, sigmoid(v, u))) + lost(v, u);
  };
  return each(x.length, (i) => of(factor(i), 1) * at(x[i]!), u);
}

// ---- Softmax, cross-entropy ----

/** A streaming or blocked softmax multiplies what it has by exp(old max - new max); 32 times on any path is generous: random rows have about ln n new maxima. Each is an exponential of a part of the row's range, and a product. */
function rescaling(n: number, range: number, u: number): number {
  return Math.min(n, 32) * (3 * ULP + 1) * u + of(range, (2 * ULP + 1) * u);
}

interface RowErrors {
  readonly max: number;
  readonly logSumExp: number;
  /** Probability of element j. */
  p(j: number): number;
  /** Relative error of sum exp(x - max). */
  readonly sum: number;
  /** Relative error of exp(x_j - max). */
  term(j: number): number;
}

/** `inputError(j)` is the absolute error that x_j itself comes with. */
function softmaxRow(x: Float64Array, u: number, inputError: (j: number) => number = () => 0): RowErrors {
  const max = x.reduce((most, value) => Math.max(most, value), -Infinity);
  const total = logSumExpOf(x);
  const p = (j: number): number => Math.exp(x[j]! - total);
  const term = (j: number): number => exponentialOfDifference(x[j]! - max, u) + inputError(j);
  let weighted = 0;
  let range = 0;
  for (let j = 0; j < x.length; j++) {
    const share = p(j);
    if (share === 0) continue;
    weighted += share * term(j);
    range = Math.max(range, max - x[j]!);
  }
  return { max, logSumExp: total, p, term, sum: weighted + gamma(x.length, u) + rescaling(x.length, range, u) };
}

/** exp(x_j - max) / sum: the errors of both, and a division. */
export function softmax(x: Values, rows: number, columns: number, u: number): Tolerance {
  const all = new Float64Array(x);
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const errors = softmaxRow(all.subarray(row * columns, (row + 1) * columns), u);
    for (let j = 0; j < columns; j++) {
      out[row * columns + j] = of(errors.p(j), errors.term(j) + errors.sum + division(u));
    }
  }
  return each(out.length, (i) => out[i]!, u);
}

/** y (dy - D), D = sum y dy off by gamma(n) sum |y dy|; a difference and a product. */
export function softmaxBackward(y: Values, dy: Values, rows: number, columns: number, u: number): Tolerance {
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let i = row * columns; i < (row + 1) * columns; i++) sum += Math.abs(y[i]! * dy[i]!);
    for (let i = row * columns; i < (row + 1) * columns; i++) {
      out[i] = of(y[i]!, gamma(columns, u) * sum + 2 * u * (Math.abs(dy[i]!) + sum));
    }
  }
  return each(out.length, (i) => out[i]!, u);
}

/** max + log(sum): the sum's relative error becomes absolute, the logarithm's own, two roundings. */
function logSumExpError(errors: RowErrors, u: number): number {
  const log = errors.logSumExp - errors.max;
  return errors.sum + logarithm(log, u) + 2 * u * (Math.abs(errors.logSumExp) + Math.abs(log));
}

/** The losses (one more difference), and the log-sum-exp; rows that are ignored are exactly 0 and left open. */
export function crossEntropy(
  logits: Values,
  targets: Int32Array,
  rows: number,
  columns: number,
  u: number,
): [losses: Tolerance, logSumExp: Tolerance] {
  const all = new Float64Array(logits);
  const losses = new Float64Array(rows);
  const kept = new Float64Array(rows);
  for (let row = 0; row < rows; row++) {
    const x = all.subarray(row * columns, (row + 1) * columns);
    const errors = softmaxRow(x, u);
    kept[row] = slack * logSumExpError(errors, u);
    const target = targets[row]!;
    if (target < 0) kept[row] = Infinity;
    else losses[row] = slack * (kept[row]! + u * Math.abs(errors.logSumExp - x[target]!));
  }
  return [losses, kept];
}

/**
 * (p - onehot) dLoss. p may come from the kept log-sum-exp (exp(x - lse)) or be computed anew, which differs by the
 * rounding of what was kept: u |lse|.
 */
export function crossEntropyBackward(
  logits: Values,
  targets: Int32Array,
  dLosses: Values,
  rows: number,
  columns: number,
  u: number,
): Tolerance {
  const all = new Float64Array(logits);
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    if (targets[row]! < 0) continue;
    const x = all.subarray(row * columns, (row + 1) * columns);
    const errors = softmaxRow(x, u);
    const lse = errors.logSumExp;
    for (let j = 0; j < columns; j++) {
      const p = errors.p(j);
      const kept = exponentialOfDifference(x[j]! - lse, u) + 2 * u * Math.abs(lse);
      const anew = errors.term(j) + errors.sum + division(u);
      const own = of(p, kept + anew) + 2 * u * (p + (j === targets[row] ? 1 : 0));
      out[row * columns + j] = of(dLosses[row]!, own);
    }
  }
  return each(out.length, (i) => out[i]!, u);
}

// ---- RMSNorm ----

/** Relative error of 1 / sqrt(mean(x^2) + epsilon): half that of a sum of n positive terms, then root and quotient. */
function inverseRms(columns: number, u: number): number {
  return gamma(columns + 3, u) / 2 + squareRoot(u) + division(u);
}

function rmsOf(x: Values, from: number, columns: number, epsilon: number): number {
  let sum = 0;
  for (let j = 0; j < columns; j++) sum += x[from + j]! ** 2;
  return 1 / Math.sqrt(sum / columns + epsilon);
}

export function rmsNorm(y: Values, columns: number, u: number): Tolerance {
  return each(y.length, (i) => of(y[i]!, inverseRms(columns, u) + 2 * u), u);
}

/** r w dy - x r^3 mean(w dy x): each term by its own factors, the mean by gamma(n + 2) sum |w dy x|, a difference. */
export function rmsNormBackward(
  x: Values,
  weight: Values,
  dy: Values,
  rows: number,
  columns: number,
  epsilon: number,
  u: number,
): Tolerance {
  const relative = inverseRms(columns, u);
  const out = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const from = row * columns;
    const r = rmsOf(x, from, columns, epsilon);
    let dot = 0;
    for (let j = 0; j < columns; j++) dot += Math.abs(weight[j]! * dy[from + j]! * x[from + j]!);
    for (let j = 0; j < columns; j++) {
      const direct = r * weight[j]! * dy[from + j]!;
      const back = (x[from + j]! * r ** 3 * dot) / columns;
      const backward = 3 * relative + gamma(columns + 2, u) + division(u) + 5 * u;
      out[from + j] = of(direct, relative + 3 * u) + of(back, backward);
    }
  }
  return each(out.length, (i) => out[i]!, u);
}

/** A sum over rows of dy x r. */
export function rmsNormWeightBackward(
  x: Values,
  dy: Values,
  rows: number,
  columns: number,
  epsilon: number,
  u: number,
): Tolerance {
  const sums = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    const r = rmsOf(x, row * columns, columns, epsilon);
    for (let j = 0; j < columns; j++) sums[j]! += Math.abs(x[row * columns + j]! * dy[row * columns + j]!) * r;
  }
  return each(columns, (j) => of(sums[j]!, gamma(rows + 2, u) + inverseRms(columns, u)), u);
}

// ---- RoPE ----

/** a c - b s: two products and a sum of |a c| + |b s|. What does not turn is moved. */
export function rotation(
  x: Values,
  cos: Values,
  sin: Values,
  positions: Int32Array,
  spec: RopeSpec,
  u: number,
): Tolerance {
  // |a||c| + |b||s| for the second of a pair; for the first, the sine counts negatively: turn the other way.
  const magnitudes = [false, true].map((inverse) =>
    rope(absolute(x), absolute(cos), absolute(sin), positions, { ...spec, inverse }),
  ) as [Float64Array, Float64Array];
  const sums = magnitudes[0].map((value, i) => Math.max(Math.abs(value), Math.abs(magnitudes[1][i]!)));
  const turned = (i: number): boolean => i % spec.headSize < spec.rotary;
  return each(x.length, (i) => (turned(i) ? of(sums[i]!, gamma(2, u)) : 0), u);
}

// ---- Attention ----

export interface AttentionOperands {
  readonly q: Values;
  readonly k: Values;
  readonly v: Values;
  readonly spec: AttentionSpec;
}

/** A query's scores with their absolute errors: gamma(head size + 1) |scale| sum |q k|, and its softmax. */
function scoresOf(
  { q, k, spec }: AttentionOperands,
  queryAt: number,
  keyAt: (i: number) => number,
  visible: number,
  u: number,
): { scores: Float64Array; errors: Float64Array; softmax: RowErrors } {
  const scores = new Float64Array(visible);
  const errors = new Float64Array(visible);
  for (let i = 0; i < visible; i++) {
    let [dot, size] = [0, 0];
    for (let d = 0; d < spec.headSize; d++) {
      const term = q[queryAt + d]! * k[keyAt(i) + d]!;
      dot += term;
      size += Math.abs(term);
    }
    scores[i] = spec.scale * dot;
    errors[i] = of(spec.scale * size, gamma(spec.headSize + 2, u));
  }
  return { scores, errors, softmax: softmaxRow(scores, u, (i) => errors[i]!) };
}

/** sum p v, p as in softmax with inexact scores; the sum over the keys, rescaled like that of the probabilities. */
export function attention(operands: AttentionOperands, u: number): [output: Tolerance, logSumExp: Tolerance] {
  const { v, spec } = operands;
  const output = new Float64Array(spec.queries * spec.heads * spec.headSize);
  const kept = new Float64Array(spec.queries * spec.heads);
  forEachRow(spec, ({ queryAt, at, first, step, visible }) => {
    const { softmax: row } = scoresOf(operands, queryAt, (i) => first + i * step, visible, u);
    kept[at] = slack * logSumExpError(row, u);
    for (let i = 0; i < visible; i++) {
      // row.sum twice: the numerator is summed and rescaled as the denominator is.
      const relative = row.term(i) + 2 * row.sum + division(u) + u;
      const p = row.p(i);
      for (let d = 0; d < spec.headSize; d++) output[queryAt + d]! += of(p * v[first + i * step + d]!, relative);
    }
  });
  return [each(output.length, (i) => output[i]!, u), kept];
}

/**
 * ds = p (dp - D), dq = scale sum ds k, dk = scale sum ds q, dv = sum p do.
 * p may come from the kept log-sum-exp or anew; D = sum(do o) may be sum(p dp) instead: the errors of both are allowed,
 * the difference being the rounding of what was kept. Then each sum: gamma(terms + 2) of its magnitudes.
 */
export function attentionBackward(
  operands: AttentionOperands,
  output: Values,
  dOutput: Values,
  u: number,
): [dq: Tolerance, dk: Tolerance, dv: Tolerance] {
  const { q, k, v, spec } = operands;
  const { headSize, scale } = spec;
  const dq = new Float64Array(q.length);
  const dk = new Float64Array(k.length);
  const dv = new Float64Array(v.length);
  // Queries that add to one key: at most all of its group.
  const sources = spec.queries * (spec.heads / spec.kvHeads);
  forEachRow(spec, ({ queryAt, first, step, visible }) => {
    const keyAt = (i: number): number => first + i * step;
    const { scores, errors, softmax: row } = scoresOf(operands, queryAt, keyAt, visible, u);
    const lse = row.logSumExp;
    const probability = (i: number): number =>
      errors[i]! +
      exponentialOfDifference(scores[i]! - lse, u) +
      2 * u * (Math.abs(lse) + Math.abs(scores[i]!)) +
      row.term(i) +
      row.sum +
      division(u);
    let [mean, meanSize] = [0, 0];
    for (let d = 0; d < headSize; d++) {
      const term = dOutput[queryAt + d]! * output[queryAt + d]!;
      mean += term;
      meanSize += Math.abs(term);
    }
    const dps = new Float64Array(visible);
    const dpSizes = new Float64Array(visible);
    let meanError = of(meanSize, gamma(headSize + 1, u));
    for (let i = 0; i < visible; i++) {
      for (let d = 0; d < headSize; d++) {
        const term = dOutput[queryAt + d]! * v[keyAt(i) + d]!;
        dps[i]! += term;
        dpSizes[i]! += Math.abs(term);
      }
      meanError += of(row.p(i) * dpSizes[i]!, probability(i) + gamma(headSize + visible, u));
    }
    for (let i = 0; i < visible; i++) {
      const p = row.p(i);
      const inexact = probability(i);
      const ds = p * (dps[i]! - mean);
      const dsError =
        of(ds, inexact + 3 * u) +
        of(p * dpSizes[i]!, gamma(headSize + 2, u)) +
        p * (meanError + 2 * u * Math.abs(mean));
      for (let d = 0; d < headSize; d++) {
        const [key, query] = [k[keyAt(i) + d]!, q[queryAt + d]!];
        dq[queryAt + d]! += Math.abs(scale * key) * (dsError + of(ds, gamma(visible + 2, u)));
        dk[keyAt(i) + d]! += Math.abs(scale * query) * (dsError + of(ds, gamma(sources + 2, u)));
        dv[keyAt(i) + d]! += of(p * dOutput[queryAt + d]!, inexact + gamma(sources + 1, u));
      }
    }
  });
  return [dq, dk, dv].map((sums) => each(sums.length, (i) => sums[i]!, u)) as [Tolerance, Tolerance, Tolerance];
}

/**
 * Attention composed of products whose operands are rounded: the bounds above at the unit v of that rounding. Wherever two rounded
 * operands meet, whose product is off by (1 + v)^2 - 1 < 3 v, they count three units or more: gamma(head size + 2) for scores and
 * their gradients, 5 for the division of a probability, gamma(keys + 2) and gamma(sources + 1) for the sums of gradients. On top,
 * each of at most `terms` factors below the smallest normal number may be flushed to zero, beside factors of at most `largest`.
 */
export function composedAttention(
  attentionOperands: AttentionOperands,
  output: Values,
  dOutput: Values,
  operands: ProductOperands,
): [output: Tolerance, dq: Tolerance, dk: Tolerance, dv: Tolerance] {
  const unit = operandRoundoff(operands);
  const { q, k, v, spec } = attentionOperands;
  const largest = [q, k, v, dOutput].flatMap((x) => Array.from(x, Math.abs)).reduce((a, b) => Math.max(a, b), 1);
  const terms = Math.max(spec.queries * (spec.heads / spec.kvHeads), spec.keys);
  const flushed = terms * largest ** 2 * productFormats[operands].smallestNormal;
  const [own] = attention(attentionOperands, unit);
  const tolerances = [own, ...attentionBackward(attentionOperands, output, dOutput, unit)];
  return tolerances.map((bounds) => bounds.map((bound) => bound + flushed)) as [
    Tolerance,
    Tolerance,
    Tolerance,
    Tolerance,
  ];
}

// ---- Dropout, sums of squares, AdamW ----

/** x / (1 - p) or x times its rounded reciprocal; zeros are exact. */
export function dropout(y: Values, u: number): Tolerance {
  return Float64Array.from(y, (value) => (value === 0 ? 0 : slack * of(value, division(u) + u) + tiny(u)));
}

/** Each square is rounded, then they are added up in any order. */
export function sumOfSquares(parts: readonly Values[], u: number): Tolerance {
  const count = parts.reduce((all, { length }) => all + length, 0);
  const sum = parts.reduce((all, part) => Array.from(part).reduce((of, x) => of + x * x, all), 0);
  return each(1, () => gamma(count + 1, u) * sum, u);
}

/**
 * `gradient` is scaled already, exactly: that product's rounding counts once in m, and in v, which has its square, twice.
 * Moments: the rounded constants (beta and 1 - beta, each rounded once from the double), two products, a sum. The step
 * m / c1 / (sqrt(v / c2) + epsilon): the relative errors of its parts, v's halved by the root; m's absolute.
 */
export function adamw(
  parameter: Values,
  gradient: Values,
  firstMoment: Values,
  secondMoment: Values,
  spec: AdamWSpec,
  u: number,
): [parameter: Tolerance, firstMoment: Tolerance, secondMoment: Tolerance] {
  const { beta1, beta2, learningRate, correction1, correction2, epsilon, weightDecay } = spec;
  const first = each(
    parameter.length,
    (i) => gamma(4, u) * (Math.abs(beta1 * firstMoment[i]!) + Math.abs((1 - beta1) * gradient[i]!)),
    u,
  );
  const second = each(
    parameter.length,
    (i) => gamma(6, u) * (beta2 * secondMoment[i]! + (1 - beta2) * gradient[i]! ** 2),
    u,
  );
  const moved = each(
    parameter.length,
    (i) => {
      const m = beta1 * firstMoment[i]! + (1 - beta1) * gradient[i]!;
      const v = beta2 * secondMoment[i]! + (1 - beta2) * gradient[i]! ** 2;
      const scale = learningRate / correction1 / (Math.sqrt(v / correction2) + epsilon);
      const relative = gamma(6, u) / 2 + squareRoot(u) + 3 * division(u) + 5 * u;
      // A v below `tiny` may have been flushed: then its root is lost beside epsilon.
      const flushed = tiny(u) === 0 ? 0 : Math.sqrt(tiny(u) / correction2) / (Math.sqrt(v / correction2) + epsilon);
      const decayed = Math.abs(parameter[i]! * (1 - learningRate * weightDecay));
      return scale * (first[i]! + of(m, relative + flushed)) + gamma(3, u) * (decayed + of(m, scale));
    },
    u,
  );
  return [moved, first, second];
}

/**
 * The moments are products of a map's entry and a scale, rounded once more than those of `adamw`, which has four roundings and
 * more: twice its bounds cover that. The largest of a block is off by no more than one of its elements is.
 */
export function adamw8bit(
  parameter: Values,
  gradient: Values,
  firstMoment: Values,
  secondMoment: Values,
  spec: AdamWSpec,
  u: number,
): [parameter: Tolerance, firstAbsmax: Tolerance, secondAbsmax: Tolerance] {
  const [moved, first, second] = adamw(parameter, gradient, firstMoment, secondMoment, spec, u);
  const ofBlocks = (bounds: Tolerance): Tolerance =>
    Float64Array.from({ length: Math.ceil(parameter.length / 256) }, (_, block) =>
      bounds.subarray(256 * block, 256 * (block + 1)).reduce((most, bound) => Math.max(most, 2 * bound), 0),
    );
  return [moved.map((bound) => 2 * bound), ofBlocks(first), ofBlocks(second)];
}
