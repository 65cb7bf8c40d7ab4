/** Each small mistake that a kernel may have, put into a right backend: the suite must notice every one. */
import { expect, test } from 'vitest';
import { backendConformance } from '@lowrank/conformance';
import type { Backend, Storage } from '@lowrank/core';
import { collectingRunner } from './support/collecting-runner.ts';
import { numbersOf, single } from './support/single.ts';
import type { Kernels } from './support/single.ts';

interface Mutation {
  readonly name: string;
  /** The kernel whose cases, or `'rules'`, must notice. */
  readonly caughtBy: string;
  readonly mutate?: (kernels: Kernels) => Partial<Kernels>;
  readonly change?: (backend: Backend) => Backend;
}

/** The kernel, with its first result changed afterwards. */
function after<K extends keyof Kernels>(
  kernel: K,
  change: (y: Float64Array, operands: Parameters<Kernels[K]>) => void,
) {
  return (kernels: Kernels): Partial<Kernels> => ({
    [kernel]: (...operands: Parameters<Kernels[K]>) => {
      const result = (kernels[kernel] as (...operands: unknown[]) => unknown)(...operands);
      const storage = (isStorage(result) ? result : Object.values(result as object)[0]) as Storage;
      change(numbersOf(storage), operands);
      return result;
    },
  });
}

function isStorage(value: unknown): value is Storage {
  return typeof value === 'object' && value !== null && 'dtype' in value;
}

/** The kernel, with its operands changed before. */
function before<K extends keyof Kernels>(
  kernel: K,
  change: (operands: Parameters<Kernels[K]>) => Parameters<Kernels[K]>,
): (kernels: Kernels) => Partial<Kernels> {
  return (kernels) => ({
    [kernel]: (...operands: Parameters<Kernels[K]>) =>
      (kernels[kernel] as (...operands: unknown[]) => unknown)(...change(operands)),
  });
}

const scaled =
  (factor: number) =>
  (y: Float64Array): void =>
    y.forEach((value, i) => (y[i] = value * factor));

const kernelMutations: Mutation[] = [
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
  { name: 'silu is sigmoid', caughtBy: 'silu', mutate: (k) => ({ silu: (x, n) => k.unary('sigmoid', x, n) }) },
  {
    name: 'siluBackward without its second term',
    caughtBy: 'siluBackward',
    mutate: (k) => ({ siluBackward: (x, dy, n) => k.binary('mul', k.unary('sigmoid', x, n), [n], dy, [n]) }),
  },
  { name: 'swiglu takes gate for up', caughtBy: 'swiglu', mutate: before('swiglu', ([g, u, n]) => [u, g, n]) },
  {
    name: 'swigluBackward gives both gradients swapped',
    caughtBy: 'swigluBackward',
    mutate: (k) => ({
      swigluBackward: (g, u, dy, n) => {
        const { dGate, dUp } = k.swigluBackward(g, u, dy, n);
        return { dGate: dUp, dUp: dGate };
      },
    }),
  },
  {
    name: 'softmax without the maximum taken off',
    caughtBy: 'softmax',
    mutate: after('softmax', (y, [x]) => numbersOf(x).some((v) => v > 88) && y.fill(NaN)),
  },
  {
    name: 'softmax over one column less',
    caughtBy: 'softmax',
    mutate: after('softmax', (y, [, rows, columns]) => {
      if (columns < 2) return;
      for (let r = 0; r < rows; r++) {
        scaled(1 / (1 - y[(r + 1) * columns - 1]!))(y.subarray(r * columns, (r + 1) * columns));
      }
    }),
  },
  {
    name: 'softmaxBackward without its sum',
    caughtBy: 'softmaxBackward',
    mutate: (k) => ({ softmaxBackward: (y, dy, r, c) => k.binary('mul', y, [r * c], dy, [r * c]) }),
  },
  {
    name: 'rmsNorm adds epsilon outside the root',
    caughtBy: 'rmsNorm',
    mutate: before('rmsNorm', ([x, w, r, c, e]) => [x, w, r, c, e * e]),
  },
  {
    name: 'rmsNorm divides by columns less one',
    caughtBy: 'rmsNorm',
    mutate: after('rmsNorm', (y, [, , , c]) => c > 1 && scaled(Math.sqrt((c - 1) / c))(y)),
  },
  {
    name: 'rmsNormBackward without the mean term',
    caughtBy: 'rmsNormBackward',
    mutate: after('rmsNormBackward', (y, [x]) => y.forEach((v, i) => (y[i] = v + 1e-3 * numbersOf(x)[i]!))),
  },
  {
    name: 'rmsNormWeightBackward of the last row only',
    caughtBy: 'rmsNormWeightBackward',
    mutate: after('rmsNormWeightBackward', (y, [, , rows]) => rows > 1 && scaled(1 / rows)(y)),
  },
  {
    name: 'rope turns the other way',
    caughtBy: 'rope',
    mutate: before('rope', ([x, c, s, p, spec]) => [x, c, s, p, { ...spec, inverse: !spec.inverse }]),
  },
  {
    name: 'rope mixes up its pairings',
    caughtBy: 'rope',
    mutate: before('rope', ([x, c, s, p, spec]) => [x, c, s, p, { ...spec, pairing: 'half' }]),
  },
  {
    name: 'rope turns the whole head',
    caughtBy: 'rope',
    mutate: after('rope', (y, [, , , , s]) => {
      if (s.rotary < s.headSize && y.length > 0) y[s.headSize - 1]! *= 1.001;
    }),
  },
  {
    name: 'attention without its scale',
    caughtBy: 'attention',
    mutate: before('attention', ([q, k, v, s]) => [q, k, v, { ...s, scale: 1 }]),
  },
  {
    name: 'attention sees the next token',
    caughtBy: 'attention',
    mutate: before('attention', ([q, k, v, s]) => [
      q,
      k,
      v,
      {
        ...s,
        segments: s.segments.map((n, i) => (i % 4 === 3 && n > 0 && lookAhead(s.segments, i, s.keys) ? n + 1 : n)),
      },
    ]),
  },
  {
    name: 'attention gives heads the wrong key heads',
    caughtBy: 'attention',
    mutate: (k) => ({
      attention: (q, key, v, s) => k.attention(q, rotated(k, key, s.keys, s.kvHeads * s.headSize, s.headSize), v, s),
    }),
  },
  {
    name: 'attention keeps no scale in its log-sum-exp',
    caughtBy: 'attention',
    mutate: (k) => ({
      attention: (q, key, v, s) => {
        const r = k.attention(q, key, v, s);
        scaled(1.001)(numbersOf(r.logSumExp));
        return r;
      },
    }),
  },
  {
    name: 'attentionBackward without the mean',
    caughtBy: 'attentionBackward',
    mutate: before('attentionBackward', ([q, k, v, o, l, d, s]) => {
      scaled(0)(numbersOf(o));
      return [q, k, v, o, l, d, s];
    }),
  },
  {
    name: 'attentionBackward without its scale toward k',
    caughtBy: 'attentionBackward',
    mutate: (k) => ({
      attentionBackward: (...operands) => {
        const r = k.attentionBackward(...operands);
        scaled(1.0001)(numbersOf(r.dk));
        return r;
      },
    }),
  },
  {
    name: 'crossEntropy counts ignored rows',
    caughtBy: 'crossEntropy',
    mutate: (k) => ({
      crossEntropy: (x, t, r, c) => {
        const y = k.crossEntropy(x, t, r, c);
        numbersOf(t).forEach((v, i) => v < 0 && (numbersOf(y.losses)[i] = numbersOf(y.logSumExp)[i]!));
        return y;
      },
    }),
  },
  {
    name: 'crossEntropy reads the next class',
    caughtBy: 'crossEntropy',
    mutate: (k) => ({
      crossEntropy: (x, t, r, c) => {
        const y = k.crossEntropy(x, t, r, c);
        numbersOf(t).forEach(
          (v, i) =>
            v >= 0 && (numbersOf(y.losses)[i] = numbersOf(y.logSumExp)[i]! - numbersOf(x)[i * c + ((v + 1) % c)]!),
        );
        return y;
      },
    }),
  },
  {
    name: 'crossEntropyBackward without the one-hot',
    caughtBy: 'crossEntropyBackward',
    mutate: after('crossEntropyBackward', (y, [, t, , d, , c]) =>
      numbersOf(t).forEach((v, i) => v >= 0 && (y[i * c + v]! += numbersOf(d)[i]!)),
    ),
  },
  {
    name: 'crossEntropyBackward ignores dLosses',
    caughtBy: 'crossEntropyBackward',
    mutate: (k) => ({
      crossEntropyBackward: (x, t, l, _, r, c) => k.crossEntropyBackward(x, t, l, k.fill(1, r, 'f32'), r, c),
    }),
  },
  {
    name: 'dropout without its scale',
    caughtBy: 'dropout',
    mutate: after('dropout', (y, [, s]) => scaled(1 - s.probability)(y)),
  },
  {
    name: 'dropout by another stream',
    caughtBy: 'dropout',
    mutate: before('dropout', ([x, s]) => [x, { ...s, stream: [s.stream[1], s.stream[0]] }]),
  },
  {
    name: 'adamw couples the decay',
    caughtBy: 'adamw',
    mutate: before('adamw', ([p, g, m, v, s]) => {
      numbersOf(g).forEach((x, i) => (numbersOf(g)[i] = x + s.weightDecay * numbersOf(p)[i]!));
      return [p, g, m, v, { ...s, weightDecay: 0 }];
    }),
  },
  {
    name: 'adamw without bias correction',
    caughtBy: 'adamw',
    mutate: before('adamw', ([p, g, m, v, s]) => [p, g, m, v, { ...s, correction1: 1, correction2: 1 }]),
  },
  {
    name: 'adamw adds epsilon inside the root',
    caughtBy: 'adamw',
    mutate: before('adamw', ([p, g, m, v, s]) => [p, g, m, v, { ...s, epsilon: Math.sqrt(s.epsilon) }]),
  },
  {
    name: 'matmulQuantized takes the first block for the second',
    caughtBy: 'matmulQuantized',
    mutate: (k) => ({ matmulQuantized: (x, w, s) => wrongBlock(k, x, w, s) }),
  },
  {
    name: 'matmulQuantized with a scale off by one in ten thousand',
    caughtBy: 'matmulQuantized',
    mutate: after('matmulQuantized', scaled(1 + 1e-4)),
  },
  {
    name: 'gatherQuantized off by half a step',
    caughtBy: 'gatherQuantized',
    mutate: after('gatherQuantized', (y) => y.forEach((v, i) => (y[i] = v + 0.5e-3))),
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

function lookAhead(segments: Int32Array, at: number, keys: number): boolean {
  return segments[at - 1]! + segments[at]! < keys;
}

/** Every row of [rows, columns] turned by `by` places. */
function rotated(k: Kernels, x: Storage, rows: number, columns: number, by: number): Storage {
  if (columns === by || rows === 0) return x;
  return k.concat(
    [k.slice(x, [rows, columns], [0, by], [rows, columns - by]), k.slice(x, [rows, columns], [0, 0], [rows, by])],
    rows,
    [columns - by, by],
    1,
  );
}

function wrongBlock(k: Kernels, x: Storage, w: Storage, s: Parameters<Kernels['matmulQuantized']>[2]): Storage {
  const content = (w as unknown as { content: { bytes: Uint8Array } }).content;
  const rowBytes = content.bytes.length / s.rows;
  const half = rowBytes / 2;
  if (s.rows > 0 && s.columns === 64) content.bytes.copyWithin(half, 0, half);
  return k.matmulQuantized(x, w, s);
}

const ruleMutations: Mutation[] = [
  {
    name: 'upload keeps the caller’s array',
    caughtBy: 'rules',
    change(backend) {
      const kept = new Map<Storage, Float32Array | Float64Array>();
      return {
        ...backend,
        upload(data, dtype) {
          const storage = backend.upload(data, dtype);
          if (data instanceof Float32Array) kept.set(storage, data);
          return storage;
        },
        async read(storage) {
          await backend.read(storage);
          return kept.get(storage) ?? backend.read(storage);
        },
      };
    },
  },
  { name: 'free does nothing', caughtBy: 'rules', change: (backend) => ({ ...backend, free() {} }) },
  {
    name: 'free takes effect before the kernels queued',
    caughtBy: 'rules',
    mutate: () => ({}),
    change(backend) {
      return {
        ...backend,
        free(storage) {
          numbersOf(storage)?.fill?.(0);
          backend.free(storage);
        },
        kernels: { ...backend.kernels, matmul: lazyMatmul(backend) },
      };
    },
  },
  {
    name: 'another interface version',
    caughtBy: 'rules',
    change: (backend) => ({ ...backend, interfaceVersion: 2 as 1 }),
  },
  { name: 'peak is not reset', caughtBy: 'rules', change: (backend) => ({ ...backend, resetPeak() {} }) },
  { name: 'disposed is still usable', caughtBy: 'rules', change: (backend) => ({ ...backend, async dispose() {} }) },
  {
    name: 'other bits each time',
    caughtBy: 'rules',
    mutate: (() => {
      let calls = 0;
      return after('matmul', (y) => {
        if (y.length > 0) y[0]! *= 1 + 2 ** -23 * (calls++ % 2);
      });
    })(),
  },
];

/** Computes only after what is freed next: results are right only if the operands still hold. */
function lazyMatmul(backend: Backend): Kernels['matmul'] {
  return (a, b, spec) => {
    const result = backend.kernels.matmul(a, b, spec);
    const [left, right, y] = [numbersOf(a), numbersOf(b), numbersOf(result)];
    queueMicrotask(() => {
      if (left.length > 0 && left.every((v) => v === 0) && right.every((v) => v === 0)) y.fill(0);
    });
    return result;
  };
}

/** Defines the suite for a backend and runs what `caughtBy` names; the failures' messages. */
async function failuresOf({ caughtBy, mutate, change }: Mutation): Promise<string[]> {
  const { runner, tests } = collectingRunner();
  backendConformance(runner, async () => {
    const backend = await single(mutate);
    return change?.(backend) ?? backend;
  });
  const failures: string[] = [];
  for (const { path, run } of tests) {
    if (!path.includes(caughtBy)) continue;
    await run().catch((error: unknown) => failures.push((error as Error).message));
    if (failures.length > 0) break;
  }
  return failures;
}

test.each([...kernelMutations, ...ruleMutations])('catches: $name', async (mutation) => {
  expect(await failuresOf(mutation)).not.toEqual([]);
});

test('finds nothing in a right float32 backend', async () => {
  const { runner, tests } = collectingRunner();
  backendConformance(runner, () => single());
  const failures: string[] = [];
  for (const { path, run } of tests) {
    await run().catch((error: unknown) => failures.push(`${path.join(' > ')}: ${(error as Error).message}`));
  }
  // `single` holds float64, and says so in its bytes.
  expect(failures.filter((failure) => !failure.includes('1000 elements are 8000 bytes'))).toEqual([]);
});
