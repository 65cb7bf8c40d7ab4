/**
 * The kernels a backend offers.
 *
 * `Primitives` are all that is needed to run everything; they are frozen within a major version. `FusedKernels` are
 * optional, each named after what it computes; core composes from primitives what a backend lacks.
 *
 * "[a, b]" after a parameter is its shape. Sums over an axis are one chain in ascending index order where the manifest
 * says `fusedMultiplyAdd`: s = fma(x_k, y_k, s), for each output element of a matmul, from s = 0; where it accumulates, from the
 * target's element.
 */
import type { BlockFormat } from '../host/arrays.ts';
import type { Storage } from './backend.ts';

export type Shape = readonly number[];

export type UnaryOp = 'neg' | 'abs' | 'sign' | 'exp' | 'log' | 'sqrt' | 'reciprocal' | 'tanh' | 'sigmoid';
/** Comparisons give 1 or 0. `max` and `min` give NaN where either operand is NaN. */
export type BinaryOp = 'add' | 'sub' | 'mul' | 'div' | 'max' | 'min' | 'equal' | 'less' | 'lessEqual';
export type ReduceOp = 'sum' | 'max' | 'min';

/** c[b] = op(a[b]) op(b[b]), with op the transpose where asked. */
export interface MatmulSpec {
  /** Batch size of the product. */
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** a is [m, k], or [k, m] where true. */
  readonly transposeA: boolean;
  /** b is [k, n], or [n, k] where true. */
  readonly transposeB: boolean;
  /** An operand is `batch` matrices, or one that serves the whole batch. */
  readonly batchA: boolean;
  readonly batchB: boolean;
}

/** y = x op(W): x [m, columns] with W [rows, columns] gives x W^T [m, rows]; with `transposed`, x [m, rows] gives x W [m, columns]. */
export interface QuantizedMatmulSpec {
  readonly format: BlockFormat;
  readonly m: number;
  /** Output features of W. */
  readonly rows: number;
  /** Input features of W; blocks lie along this axis. */
  readonly columns: number;
  /** false: x W^T (forward). true: x W (the gradient toward x). */
  readonly transposed: boolean;
}

export interface Primitives {
  /** Elementwise over `length` f32 elements. */
  unary(op: UnaryOp, x: Storage, length: number): Storage;
  /** Elementwise with broadcasting; both shapes have the same rank, sizes equal or 1. f32. */
  binary(op: BinaryOp, a: Storage, aShape: Shape, b: Storage, bShape: Shape): Storage;
  /** condition != 0 ? a : b, all broadcast to `shape`; the three shapes have its rank. f32. */
  where(
    condition: Storage,
    conditionShape: Shape,
    a: Storage,
    aShape: Shape,
    b: Storage,
    bShape: Shape,
    shape: Shape,
  ): Storage;
  /** `length` times `value`. */
  fill(value: number, length: number, dtype: 'f32' | 'i32'): Storage;
  /** x [outer, axis, inner] to [outer, inner]. A sum of nothing is 0, a maximum -Infinity, a minimum Infinity. */
  reduce(op: ReduceOp, x: Storage, outer: number, axis: number, inner: number): Storage;
  /** [batch, m, n]. */
  matmul(a: Storage, b: Storage, spec: MatmulSpec): Storage;
  /** Axis i of the result is axis `axes[i]` of x. f32 or i32. */
  permute(x: Storage, shape: Shape, axes: readonly number[]): Storage;
  /** Rows `indices` [count] (i32, within 0..rows-1) of table [rows, columns]: [count, columns]. f32. */
  gather(table: Storage, rows: number, columns: number, indices: Storage, count: number): Storage;
  /** Zeros [rows, columns] plus source [count, columns] at rows `indices`, repeated ones added in ascending order. f32. */
  scatterAdd(source: Storage, indices: Storage, count: number, rows: number, columns: number): Storage;
  /** x[start : start + size] on every axis. f32 or i32. */
  slice(x: Storage, shape: Shape, start: readonly number[], size: readonly number[]): Storage;
  /** target[start : start + size] = source, in place. f32 or i32. */
  writeSlice(target: Storage, shape: Shape, source: Storage, start: readonly number[], size: readonly number[]): void;
  /** Parts [outer, axes[i], inner] to [outer, sum of axes, inner]. f32 or i32. */
  concat(parts: readonly Storage[], outer: number, axes: readonly number[], inner: number): Storage;
  /** i32 to f32 (rounded to nearest even), or f32 to i32 (toward zero, saturating, NaN to 0). */
  cast(x: Storage, length: number, to: 'f32' | 'i32'): Storage;
  /** target += source, in place. f32. */
  accumulate(target: Storage, source: Storage, length: number): void;
}

/** Rotary position embedding (Su et al. 2021, arXiv 2104.09864). x is [tokens, heads * headSize]. */
export interface RopeSpec {
  readonly tokens: number;
  readonly heads: number;
  readonly headSize: number;
  /** The first `rotary` of a head's elements turn, in rotary / 2 pairs; the others stay. */
  readonly rotary: number;
  /** Pairs are (2i, 2i + 1), as llama GGUFs have them, or (i, i + rotary / 2), as Hugging Face's. */
  readonly pairing: 'interleaved' | 'half';
  /** Rows of the cos and sin tables [tableRows, rotary / 2]. */
  readonly tableRows: number;
  /** Turns back: the gradient. */
  readonly inverse: boolean;
}

/**
 * Causal grouped-query attention over independent sequences that lie one behind the other (no padding).
 * q [queries, heads * headSize], k and v [keys, kvHeads * headSize]; head h reads key-value head floor(h / (heads / kvHeads)).
 */
export interface AttentionSpec {
  readonly queries: number;
  readonly keys: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headSize: number;
  /** Multiplies q k^T. */
  readonly scale: number;
  /**
   * [count, 4]: first query, number of queries, first key, number of keys of each sequence. Query i of a sequence sees
   * its keys 0 .. keyCount - queryCount + i. Every query belongs to exactly one sequence. Never changed once passed.
   */
  readonly segments: Int32Array;
}

export interface AdamWSpec {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decoupled: the parameter is multiplied by 1 - learningRate * weightDecay first. */
  readonly weightDecay: number;
  /** 1 - beta1^step and 1 - beta2^step. */
  readonly correction1: number;
  readonly correction2: number;
}

/** One of the parameters of an `adamw` call. */
export interface AdamWOperands {
  /** [length]. */
  readonly parameter: Storage;
  /** [length]. */
  readonly gradient: Storage;
  readonly length: number;
  /** Its first moment is moments[0, at : at + length], its second moments[1, at : at + length]. */
  readonly at: number;
}

/** One of the parameters of an `adamw8bit` call. */
export interface AdamW8bitOperands {
  /** [length]. */
  readonly parameter: Storage;
  /** [length]. */
  readonly gradient: Storage;
  readonly length: number;
  /** i32 [ceil(length / 4)]: element i in bits 8 (i mod 4) and up of word floor(i / 4), zeros behind the last. */
  readonly firstCodes: Storage;
  /** [ceil(length / 256)]. */
  readonly firstAbsmax: Storage;
  readonly secondCodes: Storage;
  readonly secondAbsmax: Storage;
}

export interface DropoutSpec {
  readonly rows: number;
  readonly columns: number;
  /** Probability of zero; the others are multiplied by 1 / (1 - probability). */
  readonly probability: number;
  /** Philox key and the counter words that name the mask; element (row, column) is as `dropoutMask` in core defines it. */
  readonly key: readonly [number, number];
  readonly stream: readonly [number, number];
}

export interface FusedKernels {
  /** target [batch, m, n] += op(a) op(b), in place: the sums of the product start from what is there. */
  matmulAccumulate(target: Storage, a: Storage, b: Storage, spec: MatmulSpec): void;
  /** See `QuantizedMatmulSpec`. Decodes while multiplying; never holds the whole matrix decoded. */
  matmulQuantized(x: Storage, weight: Storage, spec: QuantizedMatmulSpec): Storage;
  /** target += y, in place: the sums of the product start from what is there. */
  matmulQuantizedAccumulate(target: Storage, x: Storage, weight: Storage, spec: QuantizedMatmulSpec): void;
  /** Rows `indices` [count] of a quantized table [rows, columns], decoded: [count, columns] f32. */
  gatherQuantized(
    table: Storage,
    format: BlockFormat,
    rows: number,
    columns: number,
    indices: Storage,
    count: number,
  ): Storage;

  /** y = x / (1 + exp(-x)). */
  silu(x: Storage, length: number): Storage;
  siluBackward(x: Storage, dy: Storage, length: number): Storage;
  /** y = silu(gate) * up. */
  swiglu(gate: Storage, up: Storage, length: number): Storage;
  swigluBackward(gate: Storage, up: Storage, dy: Storage, length: number): { dGate: Storage; dUp: Storage };

  /** Over the last axis of [rows, columns]. */
  softmax(x: Storage, rows: number, columns: number): Storage;
  /** dx = y * (dy - sum(y * dy)). */
  softmaxBackward(y: Storage, dy: Storage, rows: number, columns: number): Storage;

  /** y = x / sqrt(mean(x^2) + epsilon) * weight [columns] (Zhang & Sennrich 2019, arXiv 1910.07467). */
  rmsNorm(x: Storage, weight: Storage, rows: number, columns: number, epsilon: number): Storage;
  rmsNormBackward(x: Storage, weight: Storage, dy: Storage, rows: number, columns: number, epsilon: number): Storage;
  /** Gradient toward the weight: [columns]. Called only when the weight is trained. */
  rmsNormWeightBackward(x: Storage, dy: Storage, rows: number, columns: number, epsilon: number): Storage;

  /** cos and sin [tableRows, rotary / 2] f32, positions [tokens] i32. */
  rope(x: Storage, cos: Storage, sin: Storage, positions: Storage, spec: RopeSpec): Storage;

  /** `logSumExp` [queries, heads] is kept for backward; no queries x keys matrix of all heads is ever stored. */
  attention(q: Storage, k: Storage, v: Storage, spec: AttentionSpec): { output: Storage; logSumExp: Storage };
  attentionBackward(
    q: Storage,
    k: Storage,
    v: Storage,
    output: Storage,
    logSumExp: Storage,
    dOutput: Storage,
    spec: AttentionSpec,
  ): { dq: Storage; dk: Storage; dv: Storage };

  /** loss[row] = logsumexp(logits[row]) - logits[row, target], 0 where target < 0. logits [rows, columns], targets [rows] i32. */
  crossEntropy(
    logits: Storage,
    targets: Storage,
    rows: number,
    columns: number,
  ): { losses: Storage; logSumExp: Storage };
  /** dLogits = (softmax(logits) - onehot(target)) * dLosses[row], 0 where target < 0. */
  crossEntropyBackward(
    logits: Storage,
    targets: Storage,
    logSumExp: Storage,
    dLosses: Storage,
    rows: number,
    columns: number,
  ): Storage;

  /** x * mask / (1 - p); its gradient is the same kernel on dy. */
  dropout(x: Storage, spec: DropoutSpec): Storage;

  /** The sum of the squares of all elements of all parts, part i of `lengths[i]` elements: [1]. Of nothing: 0. */
  sumOfSquares(parts: readonly Storage[], lengths: readonly number[]): Storage;

  /**
   * One AdamW step of several parameters, in place on them and on their moments (Loshchilov & Hutter 2019, arXiv 1711.05101), with
   * gradient * gradientScale, rounded, for each gradient. `moments` is [2, row], `gradientScale` [1]; `row` and each
   * `at` are multiples of 16. Parameters come in ascending order of `at`, and no two of them share moments.
   */
  adamw(operands: readonly AdamWOperands[], moments: Storage, gradientScale: Storage, spec: AdamWSpec): void;

  /**
   * The same step with moments of 8 bits in blocks of 256 along the flattened parameter (Dettmers et al. 2022,
   * arXiv 2110.02861), in place on parameters, codes and absmax. A moment is map[code] * absmax[block]; after the step absmax is
   * the block's largest magnitude, and the code that of f32(moment / absmax) (of f32(moment / 1) where absmax is 0): the
   * number of f32 midpoints between neighbours in the map that are strictly below it. A second moment above 0 takes a code
   * of 1 at least. Nothing is fused, as in `adamw`, so that composed steps have the same bits.
   *
   * `maps` is [2, 256], the first moment's and the second's, each in ascending order.
   */
  adamw8bit(operands: readonly AdamW8bitOperands[], maps: Storage, gradientScale: Storage, spec: AdamWSpec): void;
}

/** The names of all fused kernels, for manifests, counting wrappers and support tables. */
export const fusedKernelNames: readonly (keyof FusedKernels)[] = [
  'matmulAccumulate',
  'matmulQuantized',
  'matmulQuantizedAccumulate',
  'gatherQuantized',
  'silu',
  'siluBackward',
  'swiglu',
  'swigluBackward',
  'softmax',
  'softmaxBackward',
  'rmsNorm',
  'rmsNormBackward',
  'rmsNormWeightBackward',
  'rope',
  'attention',
  'attentionBackward',
  'crossEntropy',
  'crossEntropyBackward',
  'dropout',
  'sumOfSquares',
  'adamw',
  'adamw8bit',
];

export const primitiveNames: readonly (keyof Primitives)[] = [
  'unary',
  'binary',
  'where',
  'fill',
  'reduce',
  'matmul',
  'permute',
  'gather',
  'scatterAdd',
  'slice',
  'writeSlice',
  'concat',
  'cast',
  'accumulate',
];
