/** Calls of kernels as ONNX graphs, in the operators of the standard. */
import type { AttentionSpec, MatmulSpec, QuantizedMatmulSpec, Shape, Storage } from '@lowrank/core';
import type { Kernels, KernelName } from '../../src/backend/case.ts';
import { dequantized } from './dequantize.ts';
import type { ElementType, Graph } from './model.ts';

/** An operand of the call: which of the case's inputs. */
export interface Operand {
  readonly at: number;
  /** Elements. */
  readonly length: number;
  readonly type: ElementType;
  /** Blocks, of weights. */
  readonly bytes?: Uint8Array;
}

/** Declares an operand with the shape that it has in the call; gives the name of its value. */
export type Take = (operand: Operand, shape: Shape) => string;

/** A value, its type and shape; undefined where ONNX has no such result. */
export type Result = { readonly value: string; readonly type: 'float32' | 'int32'; readonly shape: Shape } | undefined;

type AsOperand<P> = P extends Storage ? Operand : P extends readonly Storage[] ? readonly Operand[] : P;
type AsOperands<P extends readonly unknown[]> = { [I in keyof P]: AsOperand<P[I]> };
type Arguments<K extends KernelName> = AsOperands<Parameters<Kernels[K]>>;

type Translators = { [K in KernelName]?: (g: Graph, take: Take, ...args: Arguments<K>) => Result[] };

const f32 = (value: string, shape: Shape): Result => ({ value, type: 'float32', shape });
const size = (shape: Shape): number => shape.reduce((product, length) => product * length, 1);
const broadcast = (a: Shape, b: Shape): number[] => a.map((length, i) => (length === 1 ? b[i]! : length));

const unaryNames = {
  neg: 'Neg',
  abs: 'Abs',
  sign: 'Sign',
  exp: 'Exp',
  log: 'Log',
  sqrt: 'Sqrt',
  reciprocal: 'Reciprocal',
  tanh: 'Tanh',
  sigmoid: 'Sigmoid',
} as const;

const binaryNames = {
  add: 'Add',
  sub: 'Sub',
  mul: 'Mul',
  div: 'Div',
  max: 'Max',
  min: 'Min',
  equal: 'Equal',
  less: 'Less',
  lessEqual: 'LessOrEqual',
} as const;

const reductions = { sum: 'ReduceSum', max: 'ReduceMax', min: 'ReduceMin' } as const;

export const translators: Translators = {
  unary: (g, take, op, x, length) => [f32(g.node(unaryNames[op], [take(x, [length])]), [length])],

  binary(g, take, op, a, aShape, b, bShape) {
    const y = g.node(binaryNames[op], [take(a, aShape), take(b, bShape)]);
    const comparison = op === 'equal' || op === 'less' || op === 'lessEqual';
    return [f32(comparison ? g.cast(y, 'float32') : y, broadcast(aShape, bShape))];
  },

  where(g, take, condition, conditionShape, a, aShape, b, bShape, shape) {
    const isZero = g.node('Equal', [take(condition, conditionShape), g.floats([0])]);
    const chosen = g.node('Where', [g.node('Not', [isZero]), take(a, aShape), take(b, bShape)]);
    return [f32(g.node('Expand', [chosen, g.int64s(shape)]), shape)];
  },

  fill(g, _take, value, length, dtype) {
    const one = dtype === 'f32' ? g.floats([value]) : g.cast(g.int64s([value]), 'int32');
    const filled = g.node('Expand', [one, g.int64s([length])]);
    return [{ value: filled, type: dtype === 'f32' ? 'float32' : 'int32', shape: [length] }];
  },

  reduce: (g, take, op, x, outer, axis, inner) => [
    f32(g.node(reductions[op], [take(x, [outer, axis, inner]), g.int64s([1])], { keepdims: 0 }), [outer, inner]),
  ],

  matmul: (g, take, a, b, spec) => [f32(product(g, take, a, b, spec), [spec.batch, spec.m, spec.n])],

  matmulAccumulate(g, take, target, a, b, spec) {
    const shape = [spec.batch, spec.m, spec.n];
    return [f32(g.node('Add', [take(target, shape), product(g, take, a, b, spec)]), shape)];
  },

  permute: (g, take, x, shape, axes) => [
    {
      value: g.node('Transpose', [take(x, shape)], { perm: axes }),
      type: x.type as 'float32',
      shape: axes.map((axis) => shape[axis]!),
    },
  ],

  gather: (g, take, table, rows, columns, indices, count) => [
    f32(g.node('Gather', [take(table, [rows, columns]), take(indices, [count])]), [count, columns]),
  ],

  scatterAdd(g, take, source, indices, count, rows, columns) {
    const zeros = g.node('Expand', [g.floats([0]), g.int64s([rows, columns])]);
    const at = g.cast(take(indices, [count, 1]), 'int64');
    const sums = g.node('ScatterND', [zeros, at, take(source, [count, columns])], { reduction: 'add' });
    return [f32(sums, [rows, columns])];
  },

  slice(g, take, x, shape, start, sizes) {
    const ends = start.map((from, axis) => from + sizes[axis]!);
    const y = g.node('Slice', [take(x, shape), g.int64s(start), g.int64s(ends)]);
    return [{ value: y, type: x.type as 'float32', shape: sizes }];
  },

  // The source padded to the target's shape, where a mask padded likewise says so.
  writeSlice(g, take, target, shape, source, start, sizes) {
    const type = target.type as 'float32' | 'int32';
    const after = shape.map((length, axis) => length - start[axis]! - sizes[axis]!);
    const pad = (x: string): string => g.node('Pad', [x, g.int64s([...start, ...after])]);
    const ones = g.node('Expand', [g.floats([1]), g.int64s(sizes)]);
    const mask = g.cast(pad(ones), 'bool');
    return [{ value: g.node('Where', [mask, pad(take(source, sizes)), take(target, shape)]), type, shape }];
  },

  concat(g, take, parts, outer, axes, inner) {
    const shape = [outer, axes.reduce((sum, axis) => sum + axis, 0), inner];
    const values = parts.map((part, i) => take(part, [outer, axes[i]!, inner]));
    return [{ value: g.node('Concat', values, { axis: 1 }), type: parts[0]!.type as 'float32', shape }];
  },

  cast: (g, take, x, length, to) => {
    const type = to === 'f32' ? 'float32' : 'int32';
    return [{ value: g.cast(take(x, [length]), type), type, shape: [length] }];
  },

  accumulate: (g, take, target, source, length) => [
    f32(g.node('Add', [take(target, [length]), take(source, [length])]), [length]),
  ],

  silu: (g, take, x, length) => [f32(silu(g, take(x, [length])), [length])],

  swiglu: (g, take, gate, up, length) => [
    f32(g.node('Mul', [silu(g, take(gate, [length])), take(up, [length])]), [length]),
  ],

  softmax: (g, take, x, rows, columns) => [
    f32(g.node('Softmax', [take(x, [rows, columns])], { axis: 1 }), [rows, columns]),
  ],

  rmsNorm(g, take, x, weight, rows, columns, epsilon) {
    const inputs = [take(x, [rows, columns]), take(weight, [columns])];
    return [f32(g.node('RMSNormalization', inputs, { axis: -1, epsilon: { float: epsilon } }), [rows, columns])];
  },

  rope(g, take, x, cos, sin, positions, { tokens, heads, headSize, rotary, tableRows, pairing, inverse }) {
    const shape = [1, tokens, heads * headSize];
    const value = take(x, shape);
    if (rotary === 0) return [f32(value, shape)];
    const angles = take(sin, [tableRows, rotary / 2]);
    const turned = g.node(
      'RotaryEmbedding',
      [
        value,
        take(cos, [tableRows, rotary / 2]),
        inverse ? g.node('Neg', [angles]) : angles,
        g.cast(take(positions, [1, tokens]), 'int64'),
      ],
      {
        num_heads: heads,
        interleaved: pairing === 'interleaved' ? 1 : 0,
        rotary_embedding_dim: rotary === headSize ? 0 : rotary,
      },
    );
    return [f32(turned, shape)];
  },

  // Without the log-sum-exp, which ONNX's operator does not give.
  attention(g, take, q, k, v, spec) {
    const width = spec.heads * spec.headSize;
    const values = {
      q: take(q, [1, spec.queries, width]),
      k: take(k, [1, spec.keys, spec.kvHeads * spec.headSize]),
      v: take(v, [1, spec.keys, spec.kvHeads * spec.headSize]),
    };
    const outputs = segmentsOf(spec).map((segment) => attend(g, values, segment, spec));
    if (outputs.length === 0) return [f32(values.q, [1, spec.queries, width]), undefined];
    return [f32(g.node('Concat', outputs, { axis: 1 }), [1, spec.queries, width]), undefined];
  },

  crossEntropy(g, take, logits, targets, rows, columns) {
    const x = take(logits, [rows, columns]);
    const labels = g.cast(take(targets, [rows]), 'int64');
    // Whatever is negative is ignored; ONNX ignores one number.
    const negative = g.node('Less', [labels, g.int64s([0])]);
    const ignored = g.node('Where', [negative, g.int64s([-1]), labels]);
    const losses = g.node('SoftmaxCrossEntropyLoss', [x, ignored], { reduction: 'none', ignore_index: -1 });
    const total = g.node('ReduceLogSumExp', [x, g.int64s([1])], { keepdims: 0 });
    return [f32(losses, [rows]), f32(total, [rows])];
  },

  matmulQuantized: (g, take, x, weight, spec) => [
    f32(quantizedProduct(g, take, x, weight, spec), [spec.m, spec.transposed ? spec.columns : spec.rows]),
  ],

  matmulQuantizedAccumulate(g, take, target, x, weight, spec) {
    const shape = [spec.m, spec.transposed ? spec.columns : spec.rows];
    return [f32(g.node('Add', [take(target, shape), quantizedProduct(g, take, x, weight, spec)]), shape)];
  },

  gatherQuantized(g, take, table, format, rows, columns, indices, count) {
    const w = dequantized(g, format, table.bytes!, rows, columns);
    return [f32(g.node('Gather', [w, take(indices, [count])]), [count, columns])];
  },
};

function silu(g: Graph, x: string): string {
  return g.node('Mul', [x, g.node('Sigmoid', [x])]);
}

/** [batch, m, n]. */
function product(g: Graph, take: Take, a: Operand, b: Operand, spec: MatmulSpec): string {
  const factors = [matrix(g, take, a, spec, 'A'), matrix(g, take, b, spec, 'B')];
  return g.node('Expand', [g.node('MatMul', factors), g.int64s([spec.batch, spec.m, spec.n])]);
}

function quantizedProduct(g: Graph, take: Take, x: Operand, weight: Operand, spec: QuantizedMatmulSpec): string {
  const { format, m, rows, columns, transposed } = spec;
  const w = dequantized(g, format, weight.bytes!, rows, columns);
  const value = take(x, [m, transposed ? rows : columns]);
  return g.node('MatMul', [value, transposed ? w : g.node('Transpose', [w], { perm: [1, 0] })]);
}

/** An operand of a product as [batch or 1, rows, columns], turned where asked. */
function matrix(g: Graph, take: Take, operand: Operand, spec: MatmulSpec, side: 'A' | 'B'): string {
  const [rows, columns] = side === 'A' ? [spec.m, spec.k] : [spec.k, spec.n];
  const [batched, transposed] = [spec[`batch${side}`], spec[`transpose${side}`]];
  const batch = batched ? spec.batch : 1;
  const value = take(operand, transposed ? [batch, columns, rows] : [batch, rows, columns]);
  return transposed ? g.node('Transpose', [value], { perm: [0, 2, 1] }) : value;
}

interface Segment {
  readonly query: number;
  readonly queries: number;
  readonly key: number;
  readonly keys: number;
}

/** In the order of their queries, those without any left out. */
function segmentsOf({ segments }: AttentionSpec): Segment[] {
  return Array.from({ length: segments.length / 4 }, (_, i) => {
    const [query, queries, key, keys] = segments.subarray(4 * i, 4 * i + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    return { query, queries, key, keys };
  })
    .filter(({ queries }) => queries > 0)
    .sort((a, b) => a.query - b.query);
}

function attend(
  g: Graph,
  { q, k, v }: { q: string; k: string; v: string },
  { query, queries, key, keys }: Segment,
  { heads, kvHeads, scale }: AttentionSpec,
): string {
  const part = (x: string, from: number, count: number): string =>
    g.node('Slice', [x, g.int64s([from]), g.int64s([from + count]), g.int64s([1])]);
  // Query i sees the keys up to keys - queries + i.
  const hidden = Float32Array.from({ length: queries * keys }, (_, at) =>
    (at % keys) - Math.floor(at / keys) > keys - queries ? -Infinity : 0,
  );
  return g.node(
    'Attention',
    [part(q, query, queries), part(k, key, keys), part(v, key, keys), g.floats(hidden, [queries, keys])],
    { q_num_heads: heads, kv_num_heads: kvHeads, scale: { float: scale } },
  );
}

/** Elements of a result. */
export function lengthOf(result: NonNullable<Result>): number {
  return size(result.shape);
}
