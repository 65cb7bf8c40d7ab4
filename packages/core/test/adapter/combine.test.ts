/** Combining low-rank pairs, against sums written out. PEFT's own numbers are in e2e/oracles. */
import {
  combinePairs,
  parseCombineOptions,
  RandomStream,
  truncatedSvd,
  type CombineOptions,
  type Site,
  type WeightedPair,
} from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { disjointMean, dropAndRescale, keepLargest, weightedSum } from '../../src/adapter/low-rank/sparsify.ts';

const [rows, columns] = [9, 7];
const site: Site = { kind: 'linear', path: 'p', inFeatures: columns, outFeatures: rows };
const pair = (seed: number, rank: number, scale: number, weight: number): WeightedPair => ({
  a: Float64Array.from(new RandomStream(seed, 'a').normal(rank * columns)),
  b: Float64Array.from(new RandomStream(seed, 'b').normal(rows * rank)),
  rank,
  scale,
  weight,
  keep: (part, length) => Uint8Array.from({ length }, (_, i) => ((i + part.length) % 2 === 0 ? 1 : 0)),
});
const product = ({ a, b, rank }: Pick<WeightedPair, 'a' | 'b' | 'rank'>, factor = 1): Float64Array =>
  Float64Array.from({ length: rows * columns }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += b[Math.floor(i / columns) * rank + k]! * a[k * columns + (i % columns)]!;
    return factor * sum;
  });
const wanted = (parts: readonly WeightedPair[]): Float64Array =>
  parts
    .map((part) => product(part, part.scale * part.weight))
    .reduce((sum, part) => sum.map((value, i) => value + part[i]!));
const expectClose = (got: ArrayLike<number>, expected: ArrayLike<number>): void => {
  expect(got.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) expect(got[i]).toBeCloseTo(expected[i]!, 12);
};
const combine = (parts: readonly WeightedPair[], options: CombineOptions): ReturnType<typeof combinePairs> =>
  combinePairs(parts, site, parseCombineOptions(options));

const some = [pair(1, 2, 0.5, 0.7), pair(2, 3, 2, -0.4)];
const equal = [pair(1, 2, 0.5, 0.7), pair(2, 2, 2, 0.4)];

describe('combinePairs', () => {
  it("'cat' is the weighted sum of the changes, whatever the ranks and signs", () => {
    const made = combine(some, {});
    expect(made.rank).toBe(5);
    expectClose(product(made), wanted(some));
  });

  it("'svd' is its best approximation, and the sum itself once the rank is enough", () => {
    expectClose(product(combine(some, { method: 'svd', rank: 5 })), wanted(some));
    const made = combine(some, { method: 'svd' });
    expect(made.rank).toBe(3);
    const svd = truncatedSvd(wanted(some), rows, columns, 5);
    const rest = product(made).map((value, i) => value - wanted(some)[i]!);
    const norm = Math.sqrt(rest.reduce((sum, value) => sum + value * value, 0));
    expect(norm).toBeCloseTo(Math.sqrt(svd.values[3]! ** 2 + svd.values[4]! ** 2), 10);
    expect(combine(some, { method: 'svd', rank: 1000 }).rank).toBe(columns);
  });

  it("'svd' cuts off what lies beyond a quantile", () => {
    const [whole, cut] = [combine(some, { method: 'svd' }), combine(some, { method: 'svd', clamp: 0.9 })];
    const all = [...whole.b, ...whole.a].toSorted((x, y) => x - y);
    const place = 0.9 * (all.length - 1);
    const limit = all[Math.floor(place)]! + (place % 1) * (all[Math.ceil(place)]! - all[Math.floor(place)]!);
    expect(Math.max(...cut.a, ...cut.b)).toBeCloseTo(limit, 12);
    expectClose(
      cut.b,
      whole.b.map((value) => Math.min(Math.max(value, -limit), limit)),
    );
  });

  it("'linear' sums A's and B's by the root of weight and scale, so that one adapter alone is itself", () => {
    const made = combine(equal, { method: 'linear' });
    const roots = equal.map(({ scale, weight }) => Math.sqrt(scale * weight));
    expectClose(
      made.a,
      weightedSum(
        equal.map(({ a }) => a),
        roots,
      ),
    );
    expectClose(
      made.b,
      weightedSum(
        equal.map(({ b }) => b),
        roots,
      ),
    );
    for (const weight of [0.3, -2]) {
      const one = pair(3, 2, 0.5, weight);
      expectClose(product(combine([one], { method: 'linear' })), wanted([one]));
    }
  });

  it.each(['ties', 'dare_linear', 'dare_ties', 'magnitude_prune'] as const)(
    "'%s' with density 1 thins nothing out, and its svd kind approximates the changes' own",
    (method) => {
      const made = combine(equal, { method, density: 1 });
      const plain = combine(equal, { method: 'linear' });
      const mean = (tasks: Float64Array[], weights: number[]): Float64Array =>
        method.endsWith('ties') ? disjointMean(tasks, weights, 'total') : weightedSum(tasks, weights);
      const roots = equal.map(({ scale, weight }) => Math.sqrt(scale * weight));
      expectClose(
        made.a,
        mean(
          equal.map(({ a }) => a),
          roots,
        ),
      );
      expect(made.a.length).toBe(plain.a.length);
      const whole = combine(equal, { method: `${method}_svd`, density: 1, rank: columns });
      const changes = equal.map((part) => product(part, part.scale));
      expectClose(
        product(whole),
        mean(
          changes,
          equal.map(({ weight }) => weight),
        ),
      );
    },
  );

  it('needs equal ranks where halves are summed', () => {
    expect(() => combine(some, { method: 'ties' })).toThrow(
      expect.objectContaining({ code: 'ADAPTER_CONFIG', message: expect.stringContaining('2 and 3') as string }),
    );
  });

  it.each([
    [{ method: 'mean' }, 'method'],
    [{ density: 0 }, 'density'],
    [{ density: 1.1 }, 'density'],
    [{ rank: -1 }, 'rank'],
    [{ clamp: 0 }, 'clamp'],
    [{ majoritySign: 'most' }, 'majoritySign'],
    [{ weights: [1] }, 'weights'],
  ])('refuses %j, naming %s', (options, path) => {
    expect(() => parseCombineOptions(options)).toThrow(expect.objectContaining({ code: 'ADAPTER_CONFIG', path }));
  });
});

describe('thinning out', () => {
  const values = Float64Array.of(1, -4, 2, -2, 0, 3);

  it('by magnitude keeps the largest, of equals the first', () => {
    expect(Array.from(keepLargest(values, 0.5))).toEqual([0, -4, 2, 0, 0, 3]);
    expect(Array.from(keepLargest(values, 0.34))).toEqual([0, -4, 0, 0, 0, 3]);
  });

  it('by chance divides what stays by the density', () => {
    expect(Array.from(dropAndRescale(values, 0.5, [1, 0, 1, 1, 1, 0]))).toEqual([2, 0, 4, -4, 0, 0]);
  });

  it('elects signs by the sum or by their number, and averages those that agree', () => {
    const tasks = [Float64Array.of(3, 0, -1), Float64Array.of(-1, 2, 1), Float64Array.of(-1, 0, 0)];
    // Sums 1, 2 and 0 elect plus thrice; the signs' sums -1, 1 and 0 minus, plus and plus.
    expect(Array.from(disjointMean(tasks, [1, 10, 100], 'total'))).toEqual([3, 20, 10]);
    expect(Array.from(disjointMean(tasks, [1, 10, 100], 'frequency'))).toEqual([(-10 - 100) / 2, 20, 10]);
  });
});
