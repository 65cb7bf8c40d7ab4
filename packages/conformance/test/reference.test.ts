/** The judge judged: values worked out by hand, and calls that must be refused. Its gradients: `backend-conformance.test.ts`. */
import { describe, expect, test } from 'vitest';
import { reference } from '@lowrank/conformance';
import { BackendError, decodeArray, dropoutMask, encodeArray } from '@lowrank/core';
import type { Backend, FusedKernels, Primitives, Storage } from '@lowrank/core';

const backend = await reference();
const kernels = backend.kernels as Primitives & FusedKernels;

const f32 = (...values: number[]): Storage => backend.upload(Float64Array.from(values), 'f32');
const i32 = (...values: number[]): Storage => backend.upload(Int32Array.from(values), 'i32');

async function expectClose(storage: Storage, expected: readonly number[]): Promise<void> {
  const values = await backend.read(storage);
  expect(values).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(values[i]).toBeCloseTo(value, 14);
}

describe('values by hand', () => {
  const plain = { batch: 1, transposeA: false, transposeB: false, batchA: false, batchB: false };

  test('matmul: [[1, 2, 3], [4, 5, 6]] times [[1, 0], [0, 1], [2, 3]]', async () => {
    const [a, b] = [f32(1, 2, 3, 4, 5, 6), f32(1, 0, 0, 1, 2, 3)];
    await expectClose(kernels.matmul(a, b, { ...plain, m: 2, n: 2, k: 3 }), [7, 11, 16, 23]);
  });

  test('matmul: a^T b^T of [[1, 4], [2, 5], [3, 6]] and [[1, 0, 2], [0, 1, 3]] is the same', async () => {
    const spec = { ...plain, m: 2, n: 2, k: 3, transposeA: true, transposeB: true };
    await expectClose(kernels.matmul(f32(1, 4, 2, 5, 3, 6), f32(1, 0, 2, 0, 1, 3), spec), [7, 11, 16, 23]);
  });

  test('reduce: the middle axis of [2, 2, 2]', async () => {
    const x = f32(1, 2, 3, 4, -5, -6, -7, -8);
    await expectClose(kernels.reduce('sum', x, 2, 2, 2), [4, 6, -12, -14]);
    await expectClose(kernels.reduce('max', x, 2, 2, 2), [3, 4, -5, -6]);
    await expectClose(kernels.reduce('min', x, 2, 2, 2), [1, 2, -7, -8]);
  });

  test('permute: [2, 3, 1] by [1, 2, 0]', async () => {
    await expectClose(kernels.permute(f32(1, 2, 3, 4, 5, 6), [2, 3, 1], [1, 2, 0]), [1, 4, 2, 5, 3, 6]);
  });

  test('slice, writeSlice and concat', async () => {
    const x = f32(1, 2, 3, 4, 5, 6);
    const part = kernels.slice(x, [2, 3], [0, 1], [2, 2]);
    await expectClose(part, [2, 3, 5, 6]);
    kernels.writeSlice(x, [2, 3], part, [0, 0], [2, 2]);
    await expectClose(x, [2, 3, 3, 5, 6, 6]);
    await expectClose(kernels.concat([part, x], 2, [2, 3], 1), [2, 3, 2, 3, 3, 5, 6, 5, 6, 6]);
  });

  test('gather and scatterAdd: row 1 twice', async () => {
    await expectClose(kernels.gather(f32(1, 2, 3, 4), 2, 2, i32(1, 0, 1), 3), [3, 4, 1, 2, 3, 4]);
    await expectClose(kernels.scatterAdd(f32(1, 2, 10, 20, 100, 200), i32(1, 0, 1), 3, 3, 2), [10, 20, 101, 202, 0, 0]);
  });

  test('cast: toward zero, saturating, NaN to 0', async () => {
    const x = f32(1.9, -1.9, 3e9, -3e9, Number.NaN);
    expect([...(await backend.read(kernels.cast(x, 5, 'i32')))]).toEqual([1, -1, 2 ** 31 - 1, -(2 ** 31), 0]);
  });

  test('softmax: e^0, e^ln2, e^ln3 are 1, 2, 3 of 6', async () => {
    await expectClose(kernels.softmax(f32(0, Math.log(2), Math.log(3)), 1, 3), [1 / 6, 2 / 6, 3 / 6]);
  });

  test('silu(0) = 0 with slope 1/2; silu(ln 3) = 3/4 ln 3', async () => {
    await expectClose(kernels.silu(f32(0, Math.log(3)), 2), [0, 0.75 * Math.log(3)]);
    await expectClose(kernels.siluBackward(f32(0), f32(2), 1), [1]);
  });

  test('crossEntropy: odds of 3 to 1; an ignored row costs nothing', async () => {
    const { losses, logSumExp } = kernels.crossEntropy(f32(0, Math.log(3), 5, 5), i32(1, -1), 2, 2);
    await expectClose(losses, [-Math.log(3 / 4), 0]);
    const gradient = kernels.crossEntropyBackward(f32(0, Math.log(3), 5, 5), i32(1, -1), logSumExp, f32(4, 4), 2, 2);
    await expectClose(gradient, [1, -1, 0, 0]);
  });

  test('rmsNorm: [1, 7] has root mean square 5', async () => {
    await expectClose(kernels.rmsNorm(f32(1, 7), f32(10, -10), 1, 2, 0), [2, -14]);
  });

  test('rope: a quarter turn of each kind of pair, and back', async () => {
    const spec = { tokens: 1, heads: 1, headSize: 4, rotary: 4, tableRows: 2, inverse: false };
    const [cos, sin, at] = [f32(1, 1, 0, 0), f32(0, 0, 1, 1), i32(1)];
    const interleaved = kernels.rope(f32(1, 2, 3, 4), cos, sin, at, { ...spec, pairing: 'interleaved' });
    await expectClose(interleaved, [-2, 1, -4, 3]);
    await expectClose(kernels.rope(f32(1, 2, 3, 4), cos, sin, at, { ...spec, pairing: 'half' }), [-3, -4, 1, 2]);
    const back = kernels.rope(interleaved, cos, sin, at, { ...spec, pairing: 'interleaved', inverse: true });
    await expectClose(back, [1, 2, 3, 4]);
  });

  test('attention: the first query sees one key; equal scores give the mean; heads share a key head', async () => {
    const spec = {
      queries: 2,
      keys: 2,
      heads: 2,
      kvHeads: 1,
      headSize: 1,
      scale: 2,
      segments: Int32Array.of(0, 2, 0, 2),
    };
    // Head 0 asks 0: scores 0, 0. Head 1 asks 1: scores 2 * 0 and 2 * ln(3) / 2 = ln 3, odds of 1 to 3.
    const { output, logSumExp } = kernels.attention(f32(0, 1, 0, 1), f32(0, Math.log(3) / 2), f32(8, 16), spec);
    await expectClose(output, [8, 8, 12, 14]);
    await expectClose(logSumExp, [0, 0, Math.log(2), Math.log(4)]);
  });

  test('adamw: the first step is the learning rate in the direction of the gradient, after decay', async () => {
    const [parameter, gradient, moments] = [f32(1, 1), f32(1, -40), f32(...Array.from({ length: 32 }, () => 0))];
    const decay = { learningRate: 0.1, weightDecay: 0.5, epsilon: 0 };
    kernels.adamw([{ parameter, gradient, length: 2, at: 0 }], moments, f32(0.5), {
      beta1: 0.9,
      beta2: 0.99,
      correction1: 1 - 0.9,
      correction2: 1 - 0.99,
      ...decay,
    });
    await expectClose(parameter, [0.85, 1.05]);
    const nothing = Array.from({ length: 14 }, () => 0);
    await expectClose(moments, [0.05, -2, ...nothing, 0.0025, 4, ...nothing]);
  });

  test('dropout: core’s mask over 1 - p', async () => {
    const spec = { rows: 3, columns: 11, probability: 0.5, key: [1, 2], stream: [3, 4] } as const;
    const mask = dropoutMask(3, 11, 0.5, [1, 2], [3, 4]);
    await expectClose(
      kernels.dropout(kernels.fill(3, 33, 'f32'), spec),
      Array.from(mask, (kept) => 6 * kept),
    );
  });

  test('matmulQuantized and gatherQuantized: what the blocks decode to', async () => {
    const array = encodeArray(
      Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)),
      [2, 32],
      'q4_1',
    );
    const w = decodeArray(array);
    const weight = backend.uploadBlocks!(array.data as Uint8Array, 'q4_1', [2, 32]);
    const row = (i: number): number[] => [...w.subarray(32 * i, 32 * (i + 1))];
    const one = f32(...Array.from({ length: 32 }, (_, i) => (i === 5 ? 1 : 0)));
    const shared = { format: 'q4_1', m: 1, rows: 2, columns: 32 } as const;
    await expectClose(kernels.matmulQuantized(one, weight, { ...shared, transposed: false }), [w[5]!, w[37]!]);
    await expectClose(kernels.matmulQuantized(f32(0, 1), weight, { ...shared, transposed: true }), row(1));
    await expectClose(kernels.gatherQuantized(weight, 'q4_1', 2, 32, i32(1, 0), 2), [...row(1), ...row(0)]);
  });
});

describe('calls that must be refused', () => {
  const freed = f32(1, 2, 3);
  backend.free(freed);
  const x = f32(1, 2, 3);
  const attend =
    (...segments: number[]) =>
    () =>
      kernels.attention(x, x, x, {
        queries: 3,
        keys: 3,
        heads: 1,
        kvHeads: 1,
        headSize: 1,
        scale: 1,
        segments: Int32Array.from(segments),
      });
  const wrong: [name: string, code: string, says: string, call: () => unknown][] = [
    ['an operand of another length', 'BACKEND_ARGUMENT', 'unary: x has 3 elements', () => kernels.unary('neg', x, 2)],
    ['an operand of another type', 'BACKEND_ARGUMENT', 'i32, but f32', () => kernels.unary('neg', i32(1), 1)],
    ['an operand freed before', 'BACKEND_FREED', 'unary: x', () => kernels.unary('neg', freed, 3)],
    ['a second free', 'BACKEND_FREED', 'freed before', () => backend.free(freed)],
    [
      'shapes that do not broadcast',
      'BACKEND_ARGUMENT',
      '[3] and [2]',
      () => kernels.binary('add', x, [3], f32(1, 2), [2]),
    ],
    ['an index past the table', 'BACKEND_ARGUMENT', 'indices[1] = 3', () => kernels.gather(x, 3, 1, i32(0, 3), 2)],
    ['a negative index', 'BACKEND_ARGUMENT', 'indices[0] = -1', () => kernels.scatterAdd(x, i32(-1, 0, 0), 3, 3, 1)],
    ['a target past the classes', 'BACKEND_ARGUMENT', '= 3', () => kernels.crossEntropy(x, i32(3), 1, 3)],
    ['a window past the end', 'BACKEND_ARGUMENT', 'do not lie inside', () => kernels.slice(x, [3], [2], [2])],
    ['axes that are no permutation', 'BACKEND_ARGUMENT', '[0, 0]', () => kernels.permute(x, [3, 1], [0, 0])],
    ['parts of two types', 'BACKEND_ARGUMENT', 'parts[1]', () => kernels.concat([x, i32(1)], 1, [3, 1], 1)],
    [
      'a matmul that does not fit',
      'BACKEND_ARGUMENT',
      'matmul: b',
      () =>
        kernels.matmul(x, x, {
          batch: 1,
          m: 3,
          n: 2,
          k: 1,
          transposeA: false,
          transposeB: false,
          batchA: true,
          batchB: true,
        }),
    ],
    ['a query in no sequence', 'BACKEND_ARGUMENT', 'query 2 belongs to 0', attend(0, 2, 0, 2)],
    ['a query in two sequences', 'BACKEND_ARGUMENT', 'query 1 belongs to 2', attend(0, 2, 0, 2, 1, 2, 1, 2)],
    ['a sequence with fewer keys than queries', 'BACKEND_ARGUMENT', 'segment 0', attend(0, 3, 0, 2)],
    [
      'an uploaded array of another type',
      'BACKEND_ARGUMENT',
      'upload: i32',
      () => backend.upload(Float32Array.of(1), 'i32'),
    ],
    [
      'blocks that are too short',
      'BACKEND_ARGUMENT',
      '34 bytes, not 33',
      () => backend.uploadBlocks!(new Uint8Array(33), 'q8_0', [1, 32]),
    ],
    [
      'more than fits in one storage',
      'BACKEND_OUT_OF_MEMORY',
      'maxStorageBytes',
      () => kernels.fill(0, 2 ** 40, 'f32'),
    ],
  ];
  test.each(wrong)('%s', (_, code, says, call) => {
    expect(call).toThrow(BackendError);
    expect(call).toThrow(expect.objectContaining({ code, message: expect.stringContaining(says) as string }));
  });

  test('storage of another backend', async () => {
    const other: Backend = await reference();
    const foreign = other.upload(Float32Array.of(1), 'f32');
    expect(() => kernels.unary('neg', foreign, 1)).toThrow(expect.objectContaining({ code: 'BACKEND_ARGUMENT' }));
    await expect(backend.read(foreign)).rejects.toThrow('not storage of this backend');
  });

  test('a refused call leaves no storage behind', () => {
    const { liveStorages } = backend.memory();
    expect(() => kernels.binary('add', x, [3], x, [2])).toThrow(BackendError);
    expect(backend.memory().liveStorages).toBe(liveStorages);
  });
});

test('without fused kernels there are primitives only, and no blocks', async () => {
  const bare = await reference({ fused: false });
  expect(Object.keys(bare.kernels)).not.toContain('softmax');
  expect(bare.supports.blockFormats).toEqual([]);
  expect('uploadBlocks' in bare).toBe(false);
});
