import {
  abs,
  add,
  addInto,
  addProduct,
  attention,
  broadcastTo,
  checkpoint,
  columnGain,
  concat,
  crossEntropy,
  div,
  dropout,
  exp,
  gather,
  log,
  logSumExp,
  matmul,
  max,
  maximum,
  mean,
  minimum,
  mul,
  neg,
  offset,
  permute,
  reciprocal,
  reshape,
  rmsNorm,
  rope,
  scale,
  sigmoid,
  sign,
  silu,
  slice,
  softmax,
  sqrt,
  sub,
  sum,
  swiglu,
  tanh,
  tensor,
  transpose,
  where,
  type Backend,
  type Tensor,
} from '@lowrank/core';
import type { CheckedInput } from '../support/gradient-check.ts';

/** An operation on small inputs. */
export interface OperationCase {
  readonly name: string;
  readonly inputs: readonly CheckedInput[];
  readonly f: (backend: Backend) => (...inputs: Tensor[]) => Tensor;
}

/** A case whose function needs no backend. */
const plain = (
  name: string,
  shapes: readonly (readonly number[])[],
  f: (...inputs: Tensor[]) => Tensor,
): OperationCase => ({
  name,
  inputs: shapes.map((shape) => ({ shape })),
  f: () => f,
});
const positive = (name: string, f: (x: Tensor) => Tensor): OperationCase => ({
  name,
  inputs: [{ shape: [2, 3], low: 0.5, high: 2 }],
  f: () => f,
});
const ints = (backend: Backend, values: readonly number[]): Tensor =>
  tensor(backend, Int32Array.from(values), [values.length]);
const table = (backend: Backend, f: (x: number) => number): Tensor =>
  tensor(
    backend,
    Float64Array.from({ length: 10 }, (_, i) => f(Math.floor(i / 2) * (i % 2 ? 0.1 : 1))),
    [5, 2],
  );
const turn = (pairing: 'half' | 'interleaved', headSize: number): OperationCase => ({
  name: `rope, pairs ${pairing}, 4 of ${headSize} turning`,
  inputs: [{ shape: [3, 2 * headSize] }],
  f: (backend) => (x) =>
    rope(x, {
      heads: 2,
      cos: table(backend, Math.cos),
      sin: table(backend, Math.sin),
      positions: ints(backend, [0, 1, 4]),
      pairing,
    }),
});

export const operationCases: OperationCase[] = [
  plain(
    'addInto',
    [
      [2, 3],
      [2, 3],
    ],
    (a, b) => addInto(mul(a, a), b),
  ),
  plain(
    'addInto, a sum that a gradient holds',
    [
      [2, 3],
      [2, 3],
    ],
    (a, b) => addInto(exp(a), b),
  ),
  plain(
    'addInto, a sum that is trained',
    [
      [2, 3],
      [2, 3],
    ],
    (a, b) => addInto(reshape(a, [2, 3]), b),
  ),
  plain('addInto, broadcasting', [[2, 3], [3]], (a, b) => addInto(mul(a, a), b)),
  plain(
    'addProduct',
    [
      [2, 3],
      [2, 4],
      [4, 3],
    ],
    (sum, a, b) => addProduct(mul(sum, sum), a, b),
  ),
  plain(
    'addProduct, of leading axes and transposed',
    [
      [2, 2, 3],
      [5, 4],
      [3, 5],
    ],
    (sum, a, b) => addProduct(mul(sum, sum), a, b, { transposeA: true, transposeB: true }),
  ),
  plain(
    'addProduct, a sum that a gradient holds',
    [
      [2, 3],
      [2, 4],
      [4, 3],
    ],
    (sum, a, b) => addProduct(exp(sum), a, b),
  ),
  plain('matmul, of one matrix with itself', [[3, 3]], (x) => {
    const y = mul(x, x);
    return add(matmul(y, y), matmul(y, y, { transposeB: true }));
  }),
  plain(
    'matmul, of a batch and what else is used',
    [
      [2, 2, 3],
      [3, 3],
    ],
    (x, w) => {
      const y = mul(w, w);
      return add(matmul(x, y), matmul(matmul(x, y), y, { transposeB: true }));
    },
  ),
  plain('columnGain', [[2, 2, 3], [3]], columnGain),
  plain('columnGain of what is used again', [[4, 3], [3]], (x, gain) => {
    const y = columnGain(mul(x, x), gain);
    return mul(y, y);
  }),
  plain(
    'add, broadcasting both',
    [
      [2, 1, 3],
      [4, 1],
    ],
    add,
  ),
  plain('add of a tensor to itself', [[3]], (x) => add(x, x)),
  plain('sub, broadcasting a scalar', [[2, 3], []], sub),
  plain('sub, broadcasting from the left', [[3], [2, 3]], sub),
  plain(
    'mul, broadcasting both',
    [
      [2, 1, 3],
      [1, 4, 1],
    ],
    mul,
  ),
  plain('mul of a tensor with itself', [[3]], (x) => mul(x, x)),
  { name: 'div', inputs: [{ shape: [2, 3] }, { shape: [3], low: 0.5, high: 2 }], f: () => div },
  plain('maximum, broadcasting', [[2, 3], [3]], maximum),
  plain('minimum, broadcasting', [[3], [2, 3]], minimum),
  plain('neg', [[2, 3]], neg),
  plain('abs', [[2, 3]], abs),
  plain('sign', [[2, 3]], sign),
  plain('exp', [[2, 3]], exp),
  positive('log', log),
  positive('sqrt', sqrt),
  positive('reciprocal', reciprocal),
  plain('tanh', [[2, 3]], tanh),
  plain('sigmoid', [[2, 3]], sigmoid),
  plain('silu', [[2, 3]], silu),
  plain(
    'swiglu',
    [
      [2, 3],
      [2, 3],
    ],
    swiglu,
  ),
  plain('scale', [[2, 3]], (x) => scale(x, -1.5)),
  plain('offset', [[2, 3]], (x) => mul(offset(x, 2), x)),
  plain('reshape', [[2, 6]], (x) => mul(reshape(x, [3, 4]), reshape(x, [3, 4]))),
  plain('permute', [[2, 3, 4]], (x) => permute(x, [2, 0, 1])),
  plain('transpose', [[2, 3, 4]], transpose),
  plain('slice', [[3, 5]], (x) => slice(x, 1, 1, 3)),
  plain('slice along a negative axis, overlapping uses', [[3, 5]], (x) => add(slice(x, -2, 0, 2), slice(x, -2, 1, 2))),
  plain(
    'concat',
    [
      [2, 1, 2],
      [2, 3, 2],
    ],
    (a, b) => concat([a, b, a], 1),
  ),
  plain('broadcastTo', [[2, 1]], (x) => broadcastTo(x, [3, 2, 4])),
  plain('sum of everything', [[2, 3]], (x) => sum(x)),
  plain('sum over an axis', [[2, 3, 4]], (x) => sum(x, { axis: 1 })),
  plain('sum, keeping the axis', [[2, 3]], (x) => sum(x, { axis: -1, keepDims: true })),
  plain('mean', [[2, 3, 2]], (x) => mean(x, { axis: 1 })),
  plain('max over an axis', [[3, 4]], (x) => max(x, { axis: 0 })),
  plain('max of everything', [[3, 4]], (x) => max(x)),
  plain('softmax', [[2, 5]], softmax),
  plain('logSumExp', [[2, 5]], logSumExp),
  plain('rmsNorm toward x and weight', [[2, 2, 3], [3]], (x, w) => rmsNorm(x, w, 1e-5)),
  {
    name: 'where',
    inputs: [{ shape: [2, 3] }, { shape: [3] }],
    f: (backend) => (a, b) => where(tensor(backend, [1, 0, 1, 0, 1, 0], [2, 3]), a, b),
  },
  {
    name: 'gather with repeated rows',
    inputs: [{ shape: [4, 3] }],
    f: (backend) => (x) => gather(x, ints(backend, [3, 0, 3, 1, 3])),
  },
  {
    name: 'crossEntropy with an ignored row',
    inputs: [{ shape: [4, 5] }],
    f: (backend) => (x) => crossEntropy(x, ints(backend, [2, -1, 4, 0])),
  },
  {
    name: 'dropout',
    inputs: [{ shape: [3, 17] }],
    f: () => (x) => dropout(x, { probability: 0.4, key: [1, 2], stream: [3, 4] }),
  },
  turn('half', 4),
  turn('interleaved', 4),
  turn('half', 6),
  turn('interleaved', 6),
  {
    name: 'attention, grouped heads over two sequences',
    inputs: [{ shape: [5, 8] }, { shape: [5, 4] }, { shape: [5, 4] }],
    f: () => (q, k, v) => attention(q, k, v, { heads: 4, kvHeads: 2, segments: Int32Array.of(0, 3, 0, 3, 3, 2, 3, 2) }),
  },
  {
    name: 'attention of queries that continue cached keys',
    inputs: [{ shape: [2, 4] }, { shape: [5, 4] }, { shape: [5, 4] }],
    f: () => (q, k, v) => attention(q, k, v, { heads: 2, kvHeads: 2, segments: Int32Array.of(0, 2, 0, 5), scale: 0.3 }),
  },
  plain('checkpoint', [[2, 3]], (x) => checkpoint((y) => mul(exp(y), y), x)),
];

for (const [transposeA, a] of [
  [false, [2, 3]],
  [true, [3, 2]],
] as const) {
  for (const [transposeB, b] of [
    [false, [3, 4]],
    [true, [4, 3]],
  ] as const) {
    const options = { transposeA, transposeB };
    const name = `matmul${transposeA ? ' a^T' : ''}${transposeB ? ' b^T' : ''}`;
    operationCases.push(
      plain(name, [a, b], (x, y) => matmul(x, y, options)),
      plain(
        `${name}, batched`,
        [
          [2, 2, ...a],
          [2, 2, ...b],
        ],
        (x, y) => matmul(x, y, options),
      ),
      plain(`${name}, one a for all`, [a, [2, ...b]], (x, y) => matmul(x, y, options)),
      plain(`${name}, one b for all`, [[2, ...a], b], (x, y) => matmul(x, y, options)),
    );
  }
}
