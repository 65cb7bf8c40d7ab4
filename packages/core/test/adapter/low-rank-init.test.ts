import { RandomStream, type Site } from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { parseLowRankConfig } from '../../src/adapter/low-rank/config.ts';
import { startLowRank } from '../../src/adapter/low-rank/init.ts';
import { orthogonalMatrix } from '../../src/adapter/low-rank/orthogonal.ts';

const random = (purpose: string): RandomStream => new RandomStream(3, purpose);
const site: Site = { kind: 'linear', path: 'p', inFeatures: 400, outFeatures: 300 };

/** Moments of a sample, and the standard errors of mean and variance for a distribution of that variance and kurtosis. */
function moments(values: Float32Array): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length };
}

/** Within five standard errors: mean sigma / sqrt(n), variance sigma^2 sqrt((kurtosis - 1) / n). Seeds are fixed: no flakes. */
function expectMoments(values: Float32Array, variance: number, kurtosis: number): void {
  const found = moments(values);
  expect(Math.abs(found.mean)).toBeLessThan(5 * Math.sqrt(variance / values.length));
  expect(Math.abs(found.variance - variance)).toBeLessThan(5 * variance * Math.sqrt((kurtosis - 1) / values.length));
}

describe('initial weights', () => {
  it('kaiming: A uniform within 1 / sqrt(in), B zero', () => {
    const { a, b } = startLowRank(site, parseLowRankConfig('test', { rank: 32 }), random);
    const bound = 1 / Math.sqrt(400);
    expect(a.length).toBe(32 * 400);
    expect(Math.max(...a)).toBeLessThanOrEqual(bound);
    expect(Math.min(...a)).toBeGreaterThanOrEqual(-bound);
    // Of 12,800 numbers the largest is within 1 % of the bound but for a chance of e^-64.
    expect(Math.max(...a)).toBeGreaterThan(0.99 * bound);
    expectMoments(a, bound ** 2 / 3, 1.8);
    expect(b).toEqual(new Float32Array(300 * 32));
  });

  it('gaussian: A normal with standard deviation 1 / rank, B zero', () => {
    const { a, b } = startLowRank(site, parseLowRankConfig('test', { rank: 32, init: 'gaussian' }), random);
    expectMoments(a, 1 / 32 ** 2, 3);
    expect(b).toEqual(new Float32Array(300 * 32));
  });

  it.each(['kaiming', 'gaussian', 'orthogonal'] as const)('embeddings, %s: A zero, B standard normal', (init) => {
    const { a, b } = startLowRank(
      { ...site, kind: 'embedding' },
      parseLowRankConfig('test', { rank: 32, init }),
      random,
    );
    expect(a).toEqual(new Float32Array(32 * 400));
    expectMoments(b, 1, 3);
  });

  it('orthogonal: B A is zero up to rounding, neither half is, and their rows have the variance of sums of normals', () => {
    const rank = 8;
    const { a, b } = startLowRank(site, parseLowRankConfig('test', { rank, init: 'orthogonal' }), random);
    // Row k of A is a mix of rank / 2 normals with Q's weights: over all k their squares add up to rank / 2, so the mean is 1/2.
    expect(moments(a).variance).toBeCloseTo(0.01 / 2, 3);
    expect(moments(b).variance).toBeCloseTo(0.01 / 2, 3);
    for (let o = 0; o < 300; o += 7) {
      for (let i = 0; i < 400; i += 7) {
        let [sum, size] = [0, 0];
        for (let k = 0; k < rank; k++) {
          const term = b[o * rank + k]! * a[k * 400 + i]!;
          sum += term;
          size += Math.abs(term);
        }
        // Both factors are rounded to f32: 2^-24 each, of each term.
        expect(Math.abs(sum)).toBeLessThanOrEqual(2.01 * 2 ** -24 * size);
      }
    }
  });

  it('depends on seed and site alone', () => {
    const again = startLowRank(site, parseLowRankConfig('test', { rank: 4 }), random);
    expect(startLowRank(site, parseLowRankConfig('test', { rank: 4 }), random)).toEqual(again);
    expect(
      startLowRank(site, parseLowRankConfig('test', { rank: 4 }), (purpose) => new RandomStream(4, purpose)),
    ).not.toEqual(again);
    // From a second Philox4x32-10, in Python, with whole numbers of any size.
    expect([...again.a.subarray(0, 4)]).toEqual([
      0.008942593820393085, 0.028640655800700188, 0.04314780980348587, -0.03717774525284767,
    ]);
  });
});

describe('orthogonalMatrix', () => {
  it.each([2, 6, 32])('of %i: Q^T Q = I, and Q^T X is upper triangular', (n) => {
    const x = random('x').normal(n * n);
    const q = orthogonalMatrix(x, n);
    const product = (left: ArrayLike<number>, right: ArrayLike<number>, i: number, j: number): number => {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += left[k * n + i]! * right[k * n + j]!;
      return sum;
    };
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        // Twice is enough: orthogonal to a small multiple of n 2^-53.
        expect(Math.abs(product(q, q, i, j) - (i === j ? 1 : 0))).toBeLessThan(4 * n * 2 ** -53);
        const below = i > j ? product(q, x, i, j) : 0;
        expect(Math.abs(below)).toBeLessThan(4 * n * n * 2 ** -53);
      }
    }
  });
});
