/** Mistakes in primitives. */
import { after, before, scaled } from './mutation.ts';
import type { Mutation } from './mutation.ts';
import { numbersOf } from '../support/single.ts';
import type { Kernels } from '../support/single.ts';
import type { Storage } from '@lowrank/core';

export const primitiveMutations: readonly Mutation[] = [
  {
    name: 'exp off by three in a million',
    caughtBy: 'unary',
    mutate: after('unary', (y, [op]) => op === 'exp' && scaled(1 + 3e-5)(y)),
  },
  {
    name: 'tanh saturates too early',
    caughtBy: 'unary',
    mutate: after(
      'unary',
      (y, [op]) => op === 'tanh' && y.forEach((v, i) => (y[i] = Math.abs(v) > 0.9999 ? Math.sign(v) : v)),
    ),
  },
  {
    name: 'sign of zero is 1',
    caughtBy: 'unary',
    mutate: after('unary', (y, [op]) => op === 'sign' && y.forEach((v, i) => (y[i] = v === 0 ? 1 : v))),
  },
  {
    name: 'abs hides NaN',
    caughtBy: 'unary',
    mutate: after('unary', (y, [op]) => op === 'abs' && y.forEach((v, i) => (y[i] = Number.isNaN(v) ? 0 : v))),
  },
  {
    name: 'the last element is not computed',
    caughtBy: 'unary',
    mutate: after('unary', (y) => {
      if (y.length > 0) y[y.length - 1] = 0;
    }),
  },
  {
    name: 'elements after the 65,536th workgroup are not computed',
    caughtBy: 'unary',
    mutate: after('unary', (y) => void y.fill(0, 65_536 * 64)),
  },
  {
    name: 'a result is in a buffer of the pool that is not written anew',
    caughtBy: 'unary',
    mutate: (() => {
      const pool = new Map<number, Float64Array>();
      return after('unary', (y) => {
        const own = y.slice();
        y.set(pool.get(y.length) ?? y);
        pool.set(y.length, own);
      });
    })(),
  },
  {
    name: 'sub has its operands swapped',
    caughtBy: 'binary',
    mutate: (k) => ({
      binary: (op, a, as, b, bs) => (op === 'sub' ? k.binary(op, b, bs, a, as) : k.binary(op, a, as, b, bs)),
    }),
  },
  {
    name: 'less is lessEqual',
    caughtBy: 'binary',
    mutate: before('binary', ([op, ...rest]) => [op === 'less' ? 'lessEqual' : op, ...rest]),
  },
  {
    name: 'max lets a NaN go',
    caughtBy: 'binary',
    mutate: after('binary', (y, [op]) => op === 'max' && y.forEach((v, i) => (y[i] = Number.isNaN(v) ? 0 : v))),
  },
  {
    name: 'where takes the arms the other way',
    caughtBy: 'where',
    mutate: (k) => ({ where: (c, cs, a, as, b, bs, s) => k.where(c, cs, b, bs, a, as, s) }),
  },
  {
    name: 'fill leaves the last out',
    caughtBy: 'fill',
    mutate: after('fill', (y) => {
      if (y.length > 0) y[y.length - 1] = 7;
    }),
  },
  {
    name: 'sum leaves the last term out',
    caughtBy: 'reduce',
    mutate: (k) => ({ reduce: (op, x, o, a, i) => lastTermLost(k, op, x, o, a, i) }),
  },
  {
    name: 'max starts from zero',
    caughtBy: 'reduce',
    mutate: after('reduce', (y, [op]) => op === 'max' && y.forEach((v, i) => (y[i] = Math.max(0, v)))),
  },
  {
    name: 'sum of every 65,536th row is lost',
    caughtBy: 'reduce',
    mutate: after('reduce', (y) => void y.fill(0, 65_535)),
  },
  {
    name: 'matmul takes b as not transposed',
    caughtBy: 'matmul',
    mutate: before('matmul', ([a, b, s]) => [a, b, { ...s, transposeB: false }]),
  },
  {
    name: 'matmul transposes a always',
    caughtBy: 'matmul',
    mutate: before('matmul', ([a, b, s]) => [a, b, { ...s, transposeA: true }]),
  },
  {
    name: 'matmul uses the first matrix for the whole batch',
    caughtBy: 'matmul',
    mutate: (k) => ({ matmul: (a, b, s) => firstMatrix(k, a, b, s) }),
  },
  {
    name: 'matmul leaves one product of 1031 out',
    caughtBy: 'matmul',
    mutate: after('matmul', (y, [a, b, s]) => {
      if (s.k === 1031 && !s.transposeA && s.transposeB) y[0]! -= numbersOf(a)[1030]! * numbersOf(b)[1030]!;
    }),
  },
  { name: 'matmul rounds its operands to bfloat16', caughtBy: 'matmul', mutate: after('matmul', scaled(1 + 2 ** -9)) },
  {
    name: 'matmul leaves the last, partial tile of columns out',
    caughtBy: 'matmul',
    mutate: after('matmul', (y, [, , { n }]) => y.forEach((v, i) => (y[i] = i % n >= n - (n % 16) ? 0 : v))),
  },
  {
    name: 'matmul drops what it summed up before the last block of k',
    caughtBy: 'matmul',
    mutate: (k) => ({ matmul: (a, b, s) => lastBlockOnly(k, a, b, s) }),
  },
  {
    name: 'matmul skips zeros, hiding NaN',
    caughtBy: 'matmul',
    mutate: after('matmul', (y, [a]) => numbersOf(a).every((v) => v === 0) && y.fill(0)),
  },
  {
    name: 'permute by the inverse',
    caughtBy: 'permute',
    mutate: (k) => ({
      permute: (x, shape, axes) =>
        k.permute(
          x,
          shape,
          axes.map((_, i) => axes.indexOf(i)),
        ),
    }),
  },
  {
    name: 'gather repeats its first row',
    caughtBy: 'gather',
    mutate: after('gather', (y, [, , columns]) => void y.copyWithin(columns, 0)),
  },
  {
    name: 'gather is off by one row',
    caughtBy: 'gather',
    mutate: (k) => ({
      gather(table, rows, columns, indices, count) {
        numbersOf(indices).forEach((row, i, all) => (all[i] = (row + 1) % rows));
        return k.gather(table, rows, columns, indices, count);
      },
    }),
  },
  {
    name: 'scatterAdd keeps the last of repeated rows only',
    caughtBy: 'scatterAdd',
    mutate: after('scatterAdd', (y, [source, indices, count, , columns]) => {
      for (let i = 0; i < count * columns; i++) {
        y[numbersOf(indices)[Math.floor(i / columns)]! * columns + (i % columns)] = numbersOf(source)[i]!;
      }
    }),
  },
  {
    name: 'scatterAdd counts on zeroed memory',
    caughtBy: 'scatterAdd',
    mutate: after('scatterAdd', (y) => y.forEach((v, i) => (y[i] = v === 0 ? 3 : v))),
  },
  {
    name: 'slice ignores its start on the last axis',
    caughtBy: 'slice',
    mutate: before('slice', ([x, s, start, size]) => [x, s, start.with(-1, 0), size]),
  },
  {
    name: 'writeSlice writes one place too early',
    caughtBy: 'writeSlice',
    mutate: before('writeSlice', ([t, s, x, start, size]) => [
      t,
      s,
      x,
      start.map((v, i) => (i === start.length - 1 ? Math.max(0, v - 1) : v)),
      size,
    ]),
  },
  {
    name: 'i32 moves through float32',
    caughtBy: 'permute',
    mutate: after('permute', (y) => y.forEach((v, i) => (y[i] = Math.fround(v)))),
  },
  {
    name: 'concat has its parts reversed where they are alike',
    caughtBy: 'concat',
    mutate: (k) => ({
      concat: (parts, o, axes, i) =>
        new Set(axes).size === 1 ? k.concat(parts.toReversed(), o, axes, i) : k.concat(parts, o, axes, i),
    }),
  },
  {
    name: 'cast rounds instead of truncating',
    caughtBy: 'cast',
    mutate: (k) => ({
      cast: (x, n, to) =>
        to === 'i32' && numbersOf(x).every((v) => Math.abs(v) < 1e6)
          ? k.cast(rounded(k, x, n), n, to)
          : k.cast(x, n, to),
    }),
  },
  {
    name: 'cast wraps instead of saturating',
    caughtBy: 'cast',
    mutate: after(
      'cast',
      (y, [, , to]) => to === 'i32' && y.forEach((v, i) => (y[i] = v === 2 ** 31 - 1 ? -(2 ** 31) : v)),
    ),
  },
  { name: 'accumulate is dropped', caughtBy: 'accumulate', mutate: () => ({ accumulate: () => undefined }) },
  {
    name: 'accumulate overwrites',
    caughtBy: 'accumulate',
    mutate: () => ({ accumulate: (t, s) => numbersOf(t).set(numbersOf(s)) }),
  },
  {
    name: 'accumulate twice',
    caughtBy: 'accumulate',
    mutate: (k) => ({
      accumulate: (t, s, n) => {
        k.accumulate(t, s, n);
        k.accumulate(t, s, n);
      },
    }),
  },
];

function lastTermLost(
  k: Kernels,
  op: 'sum' | 'max' | 'min',
  x: Storage,
  outer: number,
  axis: number,
  inner: number,
): Storage {
  if (op !== 'sum' || axis < 2) return k.reduce(op, x, outer, axis, inner);
  return k.reduce(op, k.slice(x, [outer, axis, inner], [0, 0, 0], [outer, axis - 1, inner]), outer, axis - 1, inner);
}

function firstMatrix(k: Kernels, a: Storage, b: Storage, s: Parameters<Kernels['matmul']>[2]): Storage {
  if (!s.batchB || s.batch < 2) return k.matmul(a, b, s);
  return k.matmul(a, k.slice(b, [s.batch, s.k * s.n], [0, 0], [1, s.k * s.n]), { ...s, batchB: false });
}

function rounded(k: Kernels, x: Storage, length: number): Storage {
  const copy = k.slice(x, [length], [0], [length]);
  numbersOf(copy).forEach((v, i) => (numbersOf(copy)[i] = Math.round(v)));
  return copy;
}

function lastBlockOnly(k: Kernels, a: Storage, b: Storage, s: Parameters<Kernels['matmul']>[2]): Storage {
  if (s.k <= 256 || s.transposeA || s.transposeB || s.batch !== 1) return k.matmul(a, b, s);
  const [from, rest] = [s.k - (s.k % 256), s.k % 256];
  const left = k.slice(a, [s.m, s.k], [0, from], [s.m, rest]);
  return k.matmul(left, k.slice(b, [s.k, s.n], [from, 0], [rest, s.n]), { ...s, k: rest });
}
