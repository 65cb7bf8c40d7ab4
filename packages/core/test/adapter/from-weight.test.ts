/** Starts that are made of the weight: PiSSA, OLoRA, LoftQ. */
import {
  decodeArray,
  encodeArray,
  hostWeight,
  loftqStart,
  lowRankScale,
  parseLowRankConfig,
  quantize4bit,
  RandomStream,
  truncatedQr,
  truncatedSvd,
  type LowRankOptions,
  type Quantize,
  type Site,
} from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { oloraStart, pissaStart, type StartOnBase } from '../../src/adapter/low-rank/from-weight.ts';

const [rows, columns] = [48, 32];
const site: Site = { kind: 'linear', path: 'p', inFeatures: columns, outFeatures: rows };
const values = new RandomStream(2, 'w').normal(rows * columns, 0.05);
const original = hostWeight([rows, columns], values);
const norm = (of: ArrayLike<number>): number => Math.sqrt(Array.from(of).reduce((sum, v) => sum + v * v, 0));

/** scale B A. */
function change({ a, b }: { a: Float32Array; b: Float32Array }, rank: number, scale: number): Float64Array {
  return Float64Array.from({ length: rows * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += b[row * rank + k]! * a[k * columns + column]!;
    return scale * sum;
  });
}

describe.each([
  ['pissa', pissaStart],
  ['olora', oloraStart],
] as const)('%s', (init, start) => {
  it.each<LowRankOptions>([
    { rank: 4, alpha: 4 },
    { rank: 4, alpha: 64 },
    { rank: 4, alpha: 0.01 },
    { rank: 9, alpha: 16, useRslora: true },
    { rank: 32, alpha: 1 },
  ])('base and adapter are the original at %j', async (options) => {
    const config = parseLowRankConfig('test', { ...options, init });
    const scale = lowRankScale(config);
    const made = await start(site, original, config.rank, scale);
    const base = await made.base.values();
    const added = change(made, config.rank, scale);
    // One rounding of the base to f32; the float64 sums here add nothing that shows.
    base.forEach((value, i) => {
      expect(Math.abs(value + added[i]! - values[i]!)).toBeLessThanOrEqual(1.01 * 2 ** -24 * Math.abs(value) + 1e-12);
    });
  });

  it('does not depend on the scale but for A and B', async () => {
    const [one, other] = [await start(site, original, 4, 1), await start(site, original, 4, 0.25)];
    const [base, second] = [await one.base.values(), await other.base.values()];
    // PiSSA: the same residual, through other roundings of A and B. PEFT's OLoRA takes s times B A away.
    const factor = init === 'pissa' ? 1 : 0.25;
    const [taken, other4] = [change(one, 4, 1), change(other, 4, 0.25)];
    taken.forEach((value, i) => expect(Math.abs(factor * value - other4[i]!)).toBeLessThan(1e-7));
    expect(base.length).toBe(second.length);
  });

  it('refuses a rank above the smaller side, a weight that is absent, and one that is not finite', async () => {
    const refused = (weight: Float32Array, rank: number): Promise<StartOnBase> =>
      start(site, hostWeight([rows, columns], weight), rank, 1);
    for (const [weight, rank, text] of [
      [values, 33, 'no more than 32 directions'],
      [new Float32Array(), 4, 'has none'],
      [values.with(7, Number.NaN), 4, 'NaN at 7'],
    ] as const) {
      await expect(refused(weight, rank)).rejects.toThrow(
        expect.objectContaining({ code: 'ADAPTER_SITE', path: 'p', message: expect.stringContaining(text) as string }),
      );
    }
  });
});

describe('pissa', () => {
  it('takes out the largest singular directions: what is left has the others\u2019 norm', async () => {
    const svd = truncatedSvd(values, rows, columns, 32);
    const made = await pissaStart(site, original, 4, 2);
    expect(norm(await made.base.values())).toBeCloseTo(norm(svd.values.subarray(4)), 6);
    // |column k of B| = |row k of A| = sqrt(S_k / s).
    for (let k = 0; k < 4; k++) {
      const root = Math.sqrt(svd.values[k]! / 2);
      expect(norm(made.a.subarray(k * columns, (k + 1) * columns))).toBeCloseTo(root, 6);
      expect(norm(Array.from({ length: rows }, (_, row) => made.b[row * 4 + k]!))).toBeCloseTo(root, 6);
    }
  });
});

describe('olora', () => {
  it('has the first columns of Q for B, and rows of R for A', async () => {
    const { q, r } = truncatedQr(values, rows, columns, 4);
    const made = await oloraStart(site, original, 4, 2);
    expect(made.b).toEqual(Float32Array.from(q));
    expect(made.a).toEqual(Float32Array.from(r));
  });
});

describe('loftq', () => {
  const nf4: Quantize = (weight) => {
    const array = quantize4bit(weight, [rows, columns], { format: 'nf4', blockSize: 64, doubleQuantization: false });
    return { array, values: decodeArray(array) };
  };
  const q4: Quantize = (weight) => {
    const array = encodeArray(weight, [rows, columns], 'q4_0');
    return { array, values: decodeArray(array) };
  };
  const distance = async (quantize: Quantize, iterations: number, scale: number): Promise<number> => {
    const made = await loftqStart(site, original, { rank: 8, scale, iterations, quantize });
    const base = decodeArray(made.base);
    return norm(change(made, 8, scale).map((value, i) => value + base[i]! - values[i]!));
  };

  it.each([
    ['nf4', nf4],
    ['q4_0', q4],
  ])('is nearer to the original than %s alone, by at least what one best approximation gains', async (_, quantize) => {
    const error = quantize(values).values.map((value, i) => values[i]! - value);
    const svd = truncatedSvd(error, rows, columns, 32);
    const once = await distance(quantize, 1, 1);
    expect(once).toBeCloseTo(norm(svd.values.subarray(8)), 6);
    expect(once).toBeLessThan(0.8 * norm(error));
    expect(await distance(quantize, 5, 1)).toBeLessThan(once);
  });

  it('is so at any scale', async () => {
    for (const scale of [0.125, 4]) expect(await distance(nf4, 1, scale)).toBeCloseTo(await distance(nf4, 1, 1), 6);
  });
});
