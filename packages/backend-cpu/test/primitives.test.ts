/**
 * Primitives on every engine, against loops in float64. The conformance suite judges them on many shapes; here are the
 * results that are exact, the order of sums, and the same bits on all engines and thread counts.
 */
import type { BinaryOp, ReduceOp, Storage } from '@lowrank/core';
import type { CpuBackend } from '@lowrank/backend-cpu';
import { cpu } from '@lowrank/backend-cpu';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { expectSameNumbers, numbers, startEngines } from './engines.ts';

let backends: CpuBackend[] = [];
beforeAll(async () => {
  const [two, three] = [await startEngines(2), await startEngines(3)];
  backends = [...two, ...three, await cpu({ engine: 'wasm', threads: 1 }), await cpu({ engine: 'wasm-unshared' })];
});
afterAll(() => Promise.all(backends.map((backend) => backend.dispose())));

/** Runs on every engine and compares with what is expected, bit for bit. */
async function expectOnAll(
  expected: ArrayLike<number>,
  compute: (backend: CpuBackend, upload: (values: Float32Array | Int32Array) => Storage) => Storage,
): Promise<void> {
  for (const backend of backends) {
    const uploaded: Storage[] = [];
    const result = compute(backend, (values) => {
      const storage = backend.upload(values, values instanceof Float32Array ? 'f32' : 'i32');
      uploaded.push(storage);
      return storage;
    });
    expectSameNumbers(await backend.read(result), expected, `${backend.engine} with ${backend.threads} threads`);
    for (const storage of [...uploaded, result]) backend.free(storage);
  }
}

const special = [
  0,
  -0,
  1,
  -1,
  0.5,
  3,
  Infinity,
  -Infinity,
  Number.NaN,
  1e-45,
  -1e-45,
  3.4e38,
  2 ** 31,
  -(2 ** 31),
  2147483520,
  1.5,
  -2.5,
];
const pairs = special.flatMap((a) => special.map((b) => [a, b] as const));

const binaryOps: Record<BinaryOp, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : a > b ? a : b),
  min: (a, b) => (Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : a < b ? a : b),
  equal: (a, b) => Number(a === b),
  less: (a, b) => Number(a < b),
  lessEqual: (a, b) => Number(a <= b),
};

describe('binary', () => {
  it.each(Object.keys(binaryOps) as BinaryOp[])('%s of all pairs of special numbers is IEEE 754’s', async (op) => {
    const a = Float32Array.from(pairs, ([left]) => left);
    const b = Float32Array.from(pairs, ([, right]) => right);
    // Float64 results round to float32 as if computed there: 53 bits are more than twice 24 and two.
    const expected = a.map((left, i) => binaryOps[op](left, b[i]!));
    await expectOnAll(expected, (backend, upload) =>
      backend.kernels.binary(op, upload(a), [a.length], upload(b), [a.length]),
    );
  });

  it.each([
    [[40_001], [1]],
    [[1], [40_001]],
    [
      [37, 1],
      [37, 211],
    ],
    [
      [37, 211],
      [1, 211],
    ],
    [
      [3, 1, 5, 1],
      [1, 4, 1, 7],
    ],
    [
      [2, 3, 4],
      [2, 1, 4],
    ],
    [
      [1, 70_000],
      [2, 1],
    ],
    [
      [0, 3],
      [1, 3],
    ],
    [[], []],
  ])('broadcasts %j with %j', async (aShape, bShape) => {
    const shape = aShape.map((size, axis) => (size === 1 ? bShape[axis]! : size));
    const count = (sizes: readonly number[]): number => sizes.reduce((product, size) => product * size, 1);
    const a = numbers(count(aShape), 1);
    const b = numbers(count(bShape), 2);
    const at = (operand: readonly number[], index: number): number => {
      let offset = 0;
      let stride = 1;
      let rest = index;
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        const i = rest % shape[axis]!;
        rest = Math.floor(rest / shape[axis]!);
        if (operand[axis] !== 1) offset += i * stride;
        stride *= operand[axis]!;
      }
      return offset;
    };
    const expected = Float32Array.from({ length: count(shape) }, (_, i) => a[at(aShape, i)]! - b[at(bShape, i)]!);
    await expectOnAll(expected, (backend, upload) =>
      backend.kernels.binary('sub', upload(a), aShape, upload(b), bShape),
    );
  });
});

describe('unary', () => {
  const x = Float32Array.from(special);
  it.each([
    ['neg', (value: number) => -value],
    ['abs', Math.abs],
    ['sign', Math.sign],
    ['sqrt', Math.sqrt],
    ['reciprocal', (value: number) => 1 / value],
  ] as const)('%s of special numbers is IEEE 754’s', async (op, expected) => {
    await expectOnAll(x.map(expected), (backend, upload) => backend.kernels.unary(op, upload(x), x.length));
  });
});

describe('reduce', () => {
  /** The order of kernels/reduce.c, written again: pieces of 4096, 16 lanes in each, joined by halves. */
  function orderedSum(x: Float32Array): number {
    const f = Math.fround;
    let total = 0;
    for (let piece = 0; piece < Math.max(1, x.length); piece += 4096) {
      const lanes = new Float32Array(16);
      for (let i = piece; i < Math.min(x.length, piece + 4096); i++) lanes[i % 16] = f(lanes[i % 16]! + x[i]!);
      for (const half of [8, 4]) for (let i = 0; i < half; i++) lanes[i] = f(lanes[i]! + lanes[i + half]!);
      const sum = f(f(lanes[0]! + lanes[2]!) + f(lanes[1]! + lanes[3]!));
      total = x.length <= 4096 ? sum : f(total + sum);
    }
    return total;
  }

  it.each([0, 1, 15, 16, 17, 4096, 4097, 100_003])('sums rows of %i elements in the documented order', async (axis) => {
    const rows = 3;
    const x = numbers(rows * axis, 5);
    const expected = Float32Array.from({ length: rows }, (_, row) =>
      orderedSum(x.subarray(row * axis, (row + 1) * axis)),
    );
    await expectOnAll(expected, (backend, upload) => backend.kernels.reduce('sum', upload(x), rows, axis, 1));
  });

  it.each([
    [1, 3000, 130],
    [5, 33, 7],
    [4, 0, 3],
    [300, 2, 65],
  ])('sums [%i, %i, %i] over its middle axis in ascending order', async (outer, axis, inner) => {
    const x = numbers(outer * axis * inner, 6);
    const expected = Float32Array.from({ length: outer * inner }, (_, i) => {
      let sum = 0;
      for (let k = 0; k < axis; k++) {
        sum = Math.fround(sum + x[(Math.floor(i / inner) * axis + k) * inner + (i % inner)]!);
      }
      return sum;
    });
    await expectOnAll(expected, (backend, upload) => backend.kernels.reduce('sum', upload(x), outer, axis, inner));
  });

  it.each(['max', 'min'] as ReduceOp[])(
    '%s finds extremes, NaN before all, and the identity of nothing',
    async (op) => {
      const extreme = op === 'max' ? Math.max : Math.min;
      const rows = [numbers(100, 7), numbers(100, 8), numbers(100, 9)];
      rows[1]![63] = Number.NaN;
      rows[2]!.fill(op === 'max' ? -Infinity : Infinity);
      const x = Float32Array.from(rows.flatMap((row) => [...row]));
      await expectOnAll(
        Float32Array.from(rows, (row) => extreme(...row)),
        (backend, upload) => backend.kernels.reduce(op, upload(x), 3, 100, 1),
      );
      await expectOnAll(
        Float32Array.from({ length: 100 }, (_, i) => extreme(...rows.map((row) => row[i]!))),
        (backend, upload) => backend.kernels.reduce(op, upload(x), 1, 3, 100),
      );
      await expectOnAll([extreme(), extreme()], (backend, upload) => backend.kernels.reduce(op, upload(x), 2, 0, 1));
    },
  );
});

describe('permute, slice, writeSlice and concat move elements, whatever their bits', () => {
  const shape = [5, 18, 1, 35];
  const size = 5 * 18 * 35;
  const integers = Int32Array.from({ length: size }, (_, i) => i * 1_000_003);
  const index = ([a, b, c, d]: readonly number[]): number => ((a! * 18 + b!) * 1 + c!) * 35 + d!;

  /** All indices of a shape, in order. */
  function* indices(sizes: readonly number[]): Generator<number[]> {
    if (sizes.length === 0) yield [];
    else for (let i = 0; i < sizes[0]!; i++) for (const rest of indices(sizes.slice(1))) yield [i, ...rest];
  }

  it.each([[[0, 1, 2, 3]], [[3, 2, 1, 0]], [[1, 0, 2, 3]], [[0, 3, 1, 2]], [[1, 3, 0, 2]], [[3, 0, 2, 1]]])(
    'permute %j',
    async (axes) => {
      const expected = [...indices(axes.map((axis) => shape[axis]!))].map((at) => {
        const from = [0, 0, 0, 0];
        for (const [i, axis] of axes.entries()) from[axis] = at[i]!;
        return integers[index(from)]!;
      });
      await expectOnAll(expected, (backend, upload) => backend.kernels.permute(upload(integers), shape, axes));
    },
  );

  it.each([
    [
      [0, 0, 0, 0],
      [5, 18, 1, 35],
    ],
    [
      [1, 2, 0, 3],
      [3, 7, 1, 11],
    ],
    [
      [0, 5, 0, 34],
      [5, 13, 1, 1],
    ],
    [
      [4, 17, 0, 2],
      [1, 1, 1, 30],
    ],
    [
      [2, 3, 0, 1],
      [0, 4, 1, 5],
    ],
  ])('slice and writeSlice from %j of %j', async (start, sizes) => {
    const places = [...indices(sizes)].map((at) => index(at.map((i, axis) => i + start[axis]!)));
    await expectOnAll(
      Int32Array.from(places, (place) => integers[place]!),
      (backend, upload) => backend.kernels.slice(upload(integers), shape, start, sizes),
    );
    const written = new Int32Array(size);
    for (const [i, place] of places.entries()) written[place] = -i - 1;
    await expectOnAll(written, (backend, upload) => {
      const target = upload(new Int32Array(size));
      const source = upload(Int32Array.from(places, (_, i) => -i - 1));
      backend.kernels.writeSlice(target, shape, source, start, sizes);
      return backend.kernels.permute(target, [size], [0]);
    });
  });

  it('concat', async () => {
    const axes = [2, 0, 5, 1];
    const parts = axes.map((axis, part) => Float32Array.from({ length: 3 * axis * 7 }, (_, i) => part * 1000 + i));
    const expected = [0, 1, 2].flatMap((outer) =>
      parts.flatMap((part, i) => [...part.subarray(outer * axes[i]! * 7, (outer + 1) * axes[i]! * 7)]),
    );
    await expectOnAll(expected, (backend, upload) => backend.kernels.concat(parts.map(upload), 3, axes, 7));
  });
});

describe('the other primitives', () => {
  it('where takes either side without computing with the other', async () => {
    const condition = Float32Array.from([1, 0, -0, Number.NaN, -2]);
    const a = Float32Array.from([1, Number.NaN, 3, 4, -0]);
    const b = Float32Array.from([Infinity]);
    await expectOnAll([1, Infinity, Infinity, 4, -0], (backend, upload) =>
      backend.kernels.where(upload(condition), [5], upload(a), [5], upload(b), [1], [5]),
    );
  });

  it('gather and scatterAdd address rows; repeated ones add in ascending order', async () => {
    const rows = 23;
    const columns = 131;
    const table = numbers(rows * columns, 11);
    const indices = Int32Array.from({ length: 400 }, (_, i) => (i * 7) % rows);
    const taken = Float32Array.from(
      { length: 400 * columns },
      (_, i) => table[indices[Math.floor(i / columns)]! * columns + (i % columns)]!,
    );
    await expectOnAll(taken, (backend, upload) =>
      backend.kernels.gather(upload(table), rows, columns, upload(indices), 400),
    );
    const source = numbers(400 * columns, 12);
    const sums = new Float32Array((rows + 1) * columns);
    for (const [i, row] of indices.entries()) {
      for (let c = 0; c < columns; c++) sums[row * columns + c]! += source[i * columns + c]!;
    }
    await expectOnAll(sums, (backend, upload) =>
      backend.kernels.scatterAdd(upload(source), upload(indices), 400, rows + 1, columns),
    );
  });

  it('cast truncates, saturates and takes NaN to 0; integers round to the nearest float', async () => {
    const x = Float32Array.from(special);
    const integers = Int32Array.from([0, 1, -1, 16_777_217, 16_777_219, 2 ** 31 - 1, -(2 ** 31), 33_554_435]);
    const expected = Int32Array.from(x, (value) =>
      Number.isNaN(value) ? 0 : Math.min(2 ** 31 - 1, Math.max(-(2 ** 31), Math.trunc(value))),
    );
    await expectOnAll(expected, (backend, upload) => backend.kernels.cast(upload(x), x.length, 'i32'));
    await expectOnAll(Float32Array.from(integers), (backend, upload) =>
      backend.kernels.cast(upload(integers), integers.length, 'f32'),
    );
  });

  it('fill and accumulate', async () => {
    await expectOnAll(new Int32Array(70_001).fill(-7), (backend) => backend.kernels.fill(-7, 70_001, 'i32'));
    await expectOnAll(new Float32Array(70_001).fill(-0), (backend) => backend.kernels.fill(-0, 70_001, 'f32'));
    const [x, y] = [numbers(70_001, 13), numbers(70_001, 14)];
    await expectOnAll(
      x.map((value, i) => value + y[i]!),
      (backend, upload) => {
        const target = backend.kernels.permute(upload(x), [x.length], [0]);
        backend.kernels.accumulate(target, upload(y), x.length);
        return target;
      },
    );
  });
});
