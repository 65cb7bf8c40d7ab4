/** Mistakes in fused kernels, forward and backward. */
import { after, before, scaled } from './mutation.ts';
import type { Mutation } from './mutation.ts';
import { numbersOf } from '../support/single.ts';
import type { Kernels } from '../support/single.ts';
import type { Storage } from '@lowrank/core';

export const fusedMutations: readonly Mutation[] = [
  {
    name: 'matmulAccumulate forgets what was there',
    caughtBy: 'matmulAccumulate',
    mutate: before('matmulAccumulate', (operands) => {
      numbersOf(operands[0]).fill(0);
      return operands;
    }),
  },
  {
    name: 'matmulAccumulate starts anew after 256 steps',
    caughtBy: 'matmulAccumulate',
    mutate: before('matmulAccumulate', ([target, a, b, s]) => {
      if (s.k > 256) numbersOf(target).fill(0);
      return [target, a, b, s];
    }),
  },
  {
    name: 'matmulAccumulate adds the first row twice',
    caughtBy: 'matmulAccumulate',
    mutate: (k) => ({
      matmulAccumulate(target, a, b, s) {
        k.matmulAccumulate(target, a, b, s);
        if (s.batch === 1 && s.m > 16 && !s.transposeA) k.matmulAccumulate(target, a, b, { ...s, m: 1 });
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
    name: 'attention hides the newest key',
    caughtBy: 'attention',
    mutate: before('attention', ([q, k, v, s]) => [
      q,
      k,
      v,
      { ...s, segments: s.segments.map((n, i) => (i % 4 === 3 && n > s.segments[i - 2]! ? n - 1 : n)) },
    ]),
  },
  {
    name: 'attention starts every sequence at the first key',
    caughtBy: 'attention',
    mutate: before('attention', ([q, k, v, s]) => [
      q,
      k,
      v,
      { ...s, segments: s.segments.map((n, i) => (i % 4 === 2 ? 0 : n)) },
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
    name: 'attentionBackward gives keys the first of their heads alone',
    caughtBy: 'attentionBackward',
    mutate: (k) => ({
      attentionBackward: (...operands) => {
        const r = k.attentionBackward(...operands);
        const { heads, kvHeads } = operands[6];
        if (heads > kvHeads) scaled(kvHeads / heads)(numbersOf(r.dv));
        return r;
      },
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
    name: 'sumOfSquares leaves the last part out',
    caughtBy: 'sumOfSquares',
    mutate: before('sumOfSquares', ([parts, lengths]) => [parts.slice(0, -1), lengths.slice(0, -1)]),
  },
  {
    name: 'sumOfSquares is of the absolute values',
    caughtBy: 'sumOfSquares',
    mutate: after('sumOfSquares', (y, [parts]) => {
      y[0] = parts.reduce((sum, part) => numbersOf(part).reduce((of, x) => of + Math.abs(x), sum), 0);
    }),
  },
  {
    name: 'adamw couples the decay',
    caughtBy: 'adamw',
    mutate: before('adamw', ([operands, moments, scale, s]) => {
      for (const { parameter, gradient } of operands) {
        numbersOf(gradient).forEach((x, i) => {
          numbersOf(gradient)[i] = x + (s.weightDecay * numbersOf(parameter)[i]!) / numbersOf(scale)[0]!;
        });
      }
      return [operands, moments, scale, { ...s, weightDecay: 0 }];
    }),
  },
  {
    name: 'adamw without bias correction',
    caughtBy: 'adamw',
    mutate: before('adamw', ([operands, moments, scale, s]) => [
      operands,
      moments,
      scale,
      { ...s, correction1: 1, correction2: 1 },
    ]),
  },
  {
    name: 'adamw adds epsilon inside the root',
    caughtBy: 'adamw',
    mutate: before('adamw', ([operands, moments, scale, s]) => [
      operands,
      moments,
      scale,
      { ...s, epsilon: Math.sqrt(s.epsilon) },
    ]),
  },
  {
    name: 'adamw forgets the scale of the gradients',
    caughtBy: 'adamw',
    mutate: (k) => ({ adamw: (operands, moments, _, s) => k.adamw(operands, moments, k.fill(1, 1, 'f32'), s) }),
  },
  {
    name: 'adamw leaves the last parameter of several',
    caughtBy: 'adamw',
    mutate: before('adamw', ([operands, ...others]) => [
      operands.slice(0, Math.max(1, operands.length - 1)),
      ...others,
    ]),
  },
  {
    name: 'adamw8bit lets a small second moment become 0',
    caughtBy: 'adamw8bit',
    mutate: (k) => ({
      adamw8bit: (operands, ...others) => {
        k.adamw8bit(operands, ...others);
        for (const { secondCodes } of operands) {
          const codes = new Uint8Array((numbersOf(secondCodes) as unknown as Int32Array).buffer);
          codes.forEach((code, i) => (codes[i] = code === 1 ? 0 : code));
        }
      },
    }),
  },
  {
    name: 'adamw8bit reads codes by the map of the other moment',
    caughtBy: 'adamw8bit',
    mutate: (k) => ({
      adamw8bit: (operands, maps, ...others) => {
        const [first, second] = [0, 256].map((start) => k.slice(maps, [512], [start], [256])) as [Storage, Storage];
        k.adamw8bit(operands, k.concat([second, first], 1, [256, 256], 1), ...others);
      },
    }),
  },
  {
    name: 'adamw8bit reads the second moment by the map of the first',
    caughtBy: 'adamw8bit',
    mutate: (k) => ({
      adamw8bit: (operands, maps, ...others) => {
        const first = k.slice(maps, [512], [0], [256]);
        k.adamw8bit(operands, k.concat([first, first], 1, [256, 256], 1), ...others);
      },
    }),
  },
];

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
