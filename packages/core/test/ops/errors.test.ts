import { reference } from '@lowrank/conformance';
import {
  add,
  attention,
  checkpoint,
  concat,
  crossEntropy,
  dropout,
  gather,
  matmul,
  permute,
  reshape,
  rmsNorm,
  rope,
  slice,
  sum,
  swiglu,
  tensor,
  writeSlice,
  type Tensor,
} from '@lowrank/core';
import { describe, expect, test } from 'vitest';

const backend = await reference();
const zeros = (...shape: number[]): Tensor =>
  tensor(backend, new Float64Array(shape.reduce((a, b) => a * b, 1)), shape);
const ints = (...values: number[]): Tensor => tensor(backend, Int32Array.from(values), [values.length]);
const cosSin = zeros(4, 2);
const trained = zeros(2, 2);
trained.requiresGrad = true;

const wrong: { name: string; code: string; message: string; run: () => unknown }[] = [
  {
    name: 'shapes that do not broadcast',
    code: 'CORE_SHAPE',
    message: '[2, 3] and [2]',
    run: () => add(zeros(2, 3), zeros(2)),
  },
  {
    name: 'matmul of unequal inner sizes',
    code: 'CORE_SHAPE',
    message: '[2, 3] and [2, 3]',
    run: () => matmul(zeros(2, 3), zeros(2, 3)),
  },
  {
    name: 'matmul of unequal batches',
    code: 'CORE_SHAPE',
    message: 'do not fit',
    run: () => matmul(zeros(2, 1, 1), zeros(3, 1, 1)),
  },
  { name: 'matmul of a vector', code: 'CORE_SHAPE', message: 'do not fit', run: () => matmul(zeros(3), zeros(3, 3)) },
  {
    name: 'reshape to another size',
    code: 'CORE_SHAPE',
    message: 'sizes differ',
    run: () => reshape(zeros(2, 3), [5]),
  },
  {
    name: 'permute by what is no permutation',
    code: 'CORE_ARGUMENT',
    message: '[0, 0]',
    run: () => permute(zeros(2, 3), [0, 0]),
  },
  { name: 'slice past the end', code: 'CORE_ARGUMENT', message: '2 to 4', run: () => slice(zeros(2, 3), 1, 2, 2) },
  {
    name: 'slice of an axis that is not there',
    code: 'CORE_ARGUMENT',
    message: 'axis 2',
    run: () => slice(zeros(2, 3), 2, 0, 1),
  },
  {
    name: 'a sum over an axis that is not there',
    code: 'CORE_ARGUMENT',
    message: 'axis -3',
    run: () => sum(zeros(2, 3), { axis: -3 }),
  },
  { name: 'concat of nothing', code: 'CORE_ARGUMENT', message: 'at least one', run: () => concat([], 0) },
  {
    name: 'concat of unequal rows',
    code: 'CORE_SHAPE',
    message: '[2, 2]',
    run: () => concat([zeros(2, 3), zeros(2, 2)], 0),
  },
  {
    name: 'gather by numbers that are not i32',
    code: 'CORE_SHAPE',
    message: 'i32',
    run: () => gather(zeros(2, 3), zeros(2)),
  },
  {
    name: 'a norm weight of another width',
    code: 'CORE_SHAPE',
    message: '[2]',
    run: () => rmsNorm(zeros(2, 3), zeros(2), 1e-5),
  },
  {
    name: 'swiglu of unequal shapes',
    code: 'CORE_SHAPE',
    message: 'differ',
    run: () => swiglu(zeros(2, 3), zeros(3, 2)),
  },
  {
    name: 'targets that are not one per row',
    code: 'CORE_SHAPE',
    message: 'targets',
    run: () => crossEntropy(zeros(2, 3), ints(1)),
  },
  {
    name: 'a dropout probability of 1',
    code: 'CORE_ARGUMENT',
    message: '[0, 1)',
    run: () => dropout(zeros(2), { probability: 1, key: [0, 0], stream: [0, 0] }),
  },
  {
    name: 'rope tables wider than a head',
    code: 'CORE_SHAPE',
    message: 'do not fit',
    run: () => rope(zeros(1, 4), { heads: 2, cos: cosSin, sin: cosSin, positions: ints(0), pairing: 'half' }),
  },
  {
    name: 'heads that do not divide the width',
    code: 'CORE_SHAPE',
    message: '3 heads',
    run: () =>
      attention(zeros(2, 4), zeros(2, 4), zeros(2, 4), { heads: 3, kvHeads: 3, segments: Int32Array.of(0, 2, 0, 2) }),
  },
  {
    name: 'segments that leave queries out',
    code: 'CORE_ARGUMENT',
    message: '1 of 2',
    run: () =>
      attention(zeros(2, 4), zeros(2, 4), zeros(2, 4), { heads: 1, kvHeads: 1, segments: Int32Array.of(0, 1, 0, 1) }),
  },
  {
    name: 'segments beyond the keys',
    code: 'CORE_ARGUMENT',
    message: 'segment 0',
    run: () =>
      attention(zeros(2, 4), zeros(2, 4), zeros(2, 4), { heads: 1, kvHeads: 1, segments: Int32Array.of(0, 2, 1, 2) }),
  },
  {
    name: 'writing over what is trained',
    code: 'CORE_NO_GRADIENT',
    message: 'in place',
    run: () => writeSlice(trained, zeros(1, 1), [0, 0]),
  },
  {
    name: 'writing outside',
    code: 'CORE_SHAPE',
    message: 'does not lie within',
    run: () => writeSlice(zeros(2, 2), zeros(1, 2), [0, 1]),
  },
  {
    name: 'a checkpointed body that loses the shape',
    code: 'CORE_SHAPE',
    message: 'sizes differ',
    run: () => checkpoint((x) => reshape(x, [9]), trained),
  },
];

describe('operations refuse what does not fit', () => {
  for (const { name, code, message, run } of wrong) {
    test(name, () => {
      expect(run).toThrow(
        expect.objectContaining({ name: 'CoreError', code, message: expect.stringContaining(message) as string }),
      );
    });
  }
});

test('operations refuse tensors of two backends, even of one kind', async () => {
  const other = tensor(await reference(), [1], [1]);
  expect(() => add(zeros(1), other)).toThrow(expect.objectContaining({ code: 'CORE_MIXED_BACKENDS' }));
  expect(() => matmul(zeros(1, 1), reshape(other, [1, 1]))).toThrow(
    expect.objectContaining({ code: 'CORE_MIXED_BACKENDS' }),
  );
});
