import * as ops from '@lowrank/core';
import type { Tensor } from '@lowrank/core';
import { attention, attentionBackward, composedAttention } from '../backend/bounds.ts';
import type { Tolerance } from '../backend/case.ts';
import { integers, uniform } from '../backend/inputs.ts';
import type { ProductOperands } from '../backend/product-operands.ts';

export interface OpInput {
  readonly values: Float32Array | Int32Array;
  readonly shape: readonly number[];
  /** Numbers that no gradient is asked toward. */
  readonly constant?: true;
}

/** One of core's differentiable operations on seeded inputs. */
export interface OpCase {
  readonly name: string;
  readonly inputs: readonly OpInput[];
  readonly body: (inputs: readonly Tensor[]) => Tensor;
  /**
   * The bound of the value and of each gradient, where running error analysis has none: a mask's huge numbers, exact as
   * they are, have a rounding beside which nothing is known of the others. `dy` is the gradient toward `y`.
   */
  readonly bound?: (u: number, y: Float64Array, dy: Float32Array, operands?: ProductOperands) => readonly Tolerance[];
}

const size = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);

function numbers(name: string, shape: readonly number[], low = -2, high = 2): OpInput {
  return { values: uniform(`op ${name}`, size(shape), low, high), shape };
}

/** Numbers whose order never changes within a difference's step, for maxima. */
function apart(name: string, shape: readonly number[]): OpInput {
  const order = [...uniform(`op ${name}`, size(shape)).entries()].sort(([, a], [, b]) => a - b);
  const values = new Float32Array(order.length);
  for (const [rank, [at]] of order.entries()) values[at] = (rank - order.length / 2) / 4;
  return { values, shape };
}

function ids(name: string, shape: readonly number[], limit: number): OpInput {
  return { values: integers(`op ${name}`, size(shape), limit), shape };
}

function constant(values: readonly number[]): OpInput {
  return { values: Float32Array.from(values), shape: [values.length], constant: true };
}

function ropeTables(positions: number, pairs: number): [cos: OpInput, sin: OpInput] {
  const angles = Array.from(
    { length: positions * pairs },
    (_, i) => Math.floor(i / pairs) / 10 ** ((i % pairs) / pairs),
  );
  const shape = [positions, pairs];
  return [Math.cos, Math.sin].map((f) => ({ ...constant(angles.map(f)), shape })) as unknown as [OpInput, OpInput];
}

function ropeCase(pairing: 'interleaved' | 'half'): OpCase {
  const [cos, sin] = ropeTables(7, 2);
  return {
    name: `rope, ${pairing}, part of the head`,
    inputs: [numbers('rope', [3, 12]), cos, sin, ids('positions', [3], 7)],
    body: ([x, c, s, positions]) => ops.rope(x!, { heads: 2, cos: c!, sin: s!, positions: positions!, pairing }),
  };
}

function attentionCase(name: string, heads: number, kvHeads: number, segments: readonly number[]): OpCase {
  const rows = (first: number): number =>
    Math.max(...segments.filter((_, i) => i % 4 === first).map((from, s) => from + segments[s * 4 + first + 1]!));
  const [queries, keys, headSize] = [rows(0), rows(2), 4];
  const inputs = [
    numbers('q', [queries, heads * headSize]),
    numbers('k', [keys, kvHeads * headSize]),
    numbers('v', [keys, kvHeads * headSize]),
  ];
  const [q, k, v] = inputs.map(({ values }) => values) as [Float32Array, Float32Array, Float32Array];
  const spec = {
    queries,
    keys,
    heads,
    kvHeads,
    headSize,
    scale: 1 / Math.sqrt(headSize),
    segments: Int32Array.from(segments),
  };
  return {
    name: `attention, ${name}`,
    inputs,
    body: ([a, b, c]) => ops.attention(a!, b!, c!, { heads, kvHeads, segments: spec.segments }),
    bound: (u, y, dy, operands) =>
      operands === undefined
        ? [attention({ q, k, v, spec }, u)[0], ...attentionBackward({ q, k, v, spec }, y, dy, u)]
        : composedAttention({ q, k, v, spec }, y, dy, operands),
  };
}

/** Every differentiable operation, those with fused kernels in several forms. */
export const opCases: readonly OpCase[] = [
  {
    name: 'add, broadcast',
    inputs: [numbers('a', [2, 3, 1]), numbers('b', [3, 5])],
    body: ([a, b]) => ops.add(a!, b!),
  },
  { name: 'sub, broadcast', inputs: [numbers('a', [3, 5]), numbers('b', [5])], body: ([a, b]) => ops.sub(a!, b!) },
  { name: 'mul, broadcast', inputs: [numbers('a', [3, 1]), numbers('b', [3, 5])], body: ([a, b]) => ops.mul(a!, b!) },
  {
    name: 'div, broadcast',
    inputs: [numbers('a', [3, 5]), numbers('b', [1, 5], 0.5, 2)],
    body: ([a, b]) => ops.div(a!, b!),
  },
  { name: 'exp', inputs: [numbers('exp', [11])], body: ([x]) => ops.exp(x!) },
  { name: 'log', inputs: [numbers('log', [11], 0.1, 9)], body: ([x]) => ops.log(x!) },
  { name: 'sqrt', inputs: [numbers('sqrt', [11], 0.1, 9)], body: ([x]) => ops.sqrt(x!) },
  { name: 'reciprocal', inputs: [numbers('reciprocal', [11], 0.5, 3)], body: ([x]) => ops.reciprocal(x!) },
  { name: 'tanh', inputs: [numbers('tanh', [11])], body: ([x]) => ops.tanh(x!) },
  { name: 'sigmoid', inputs: [numbers('sigmoid', [11])], body: ([x]) => ops.sigmoid(x!) },
  { name: 'sum over the middle', inputs: [numbers('sum', [3, 5, 2])], body: ([x]) => ops.sum(x!, { axis: 1 }) },
  { name: 'mean over everything', inputs: [numbers('mean', [3, 5])], body: ([x]) => ops.mean(x!) },
  { name: 'max over the last axis', inputs: [apart('max', [3, 7])], body: ([x]) => ops.max(x!, { axis: -1 }) },
  {
    name: 'matmul, batched, b shared',
    inputs: [numbers('a', [2, 3, 5]), numbers('b', [5, 4])],
    body: ([a, b]) => ops.matmul(a!, b!),
  },
  {
    name: 'matmul, both transposed',
    inputs: [numbers('a', [5, 3]), numbers('b', [4, 5])],
    body: ([a, b]) => ops.matmul(a!, b!, { transposeA: true, transposeB: true }),
  },
  {
    name: 'addProduct, b transposed',
    inputs: [numbers('sum', [2, 3, 4]), numbers('a', [6, 5]), numbers('b', [4, 5])],
    body: ([x, a, b]) => ops.addProduct(ops.scale(x!, 2), a!, b!, { transposeB: true }),
  },
  {
    name: 'products of one x, whose gradients meet',
    inputs: [numbers('x', [3, 5]), numbers('a', [5, 4]), numbers('b', [4, 5])],
    body: ([x, a, b]) => {
      const y = ops.scale(x!, 2);
      return ops.add(ops.matmul(y, a!), ops.matmul(y, b!, { transposeB: true }));
    },
  },
  { name: 'permute', inputs: [numbers('permute', [2, 3, 4])], body: ([x]) => ops.permute(x!, [2, 0, 1]) },
  { name: 'slice', inputs: [numbers('slice', [3, 7])], body: ([x]) => ops.slice(x!, 1, 2, 3) },
  {
    name: 'concat',
    inputs: [numbers('first', [2, 3]), numbers('second', [2, 4])],
    body: (parts) => ops.concat(parts, 1),
  },
  {
    name: 'gather, rows repeated',
    inputs: [numbers('table', [5, 3]), ids('rows', [7], 5)],
    body: ([table, rows]) => ops.gather(table!, rows!),
  },
  { name: 'silu', inputs: [numbers('silu', [13], -8, 8)], body: ([x]) => ops.silu(x!) },
  {
    name: 'swiglu',
    inputs: [numbers('gate', [3, 5], -6, 6), numbers('up', [3, 5])],
    body: ([gate, up]) => ops.swiglu(gate!, up!),
  },
  { name: 'softmax', inputs: [numbers('softmax', [3, 7], -4, 4)], body: ([x]) => ops.softmax(x!) },
  { name: 'softmax of one', inputs: [numbers('softmax one', [3, 1])], body: ([x]) => ops.softmax(x!) },
  { name: 'logSumExp', inputs: [numbers('logSumExp', [3, 7], -4, 4)], body: ([x]) => ops.logSumExp(x!) },
  {
    name: 'rmsNorm, weight trained',
    inputs: [numbers('norm', [3, 7]), numbers('weight', [7], 0.5, 1.5)],
    body: ([x, w]) => ops.rmsNorm(x!, w!, 1e-5),
  },
  {
    name: 'rmsNorm, weight frozen',
    inputs: [numbers('norm', [3, 7]), constant([1, 2, 3, 4, 5, 6, 7])],
    body: ([x, w]) => ops.rmsNorm(x!, w!, 1e-2),
  },
  ropeCase('interleaved'),
  ropeCase('half'),
  attentionCase('grouped heads', 4, 2, [0, 5, 0, 5]),
  attentionCase('two sequences, keys before the second', 2, 1, [0, 3, 0, 3, 3, 2, 3, 6]),
  {
    name: 'crossEntropy, a row ignored',
    inputs: [numbers('logits', [4, 7], -4, 4), { values: Int32Array.of(6, -1, 0, 3), shape: [4] }],
    body: ([logits, targets]) => ops.crossEntropy(logits!, targets!),
  },
  {
    name: 'dropout',
    inputs: [numbers('dropout', [5, 13])],
    body: ([x]) => ops.dropout(x!, { probability: 0.25, key: [1, 2], stream: [3, 4] }),
  },
];
