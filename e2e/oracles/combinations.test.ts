/** Weighted combinations against PEFT's `add_weighted_adapter`, DARE with the masks that it drew. */
import {
  combinePairs,
  parseCombineOptions,
  type CombineMethod,
  type CombineOptions,
  type Site,
  type WeightedPair,
} from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { fixtureJson, fixtureTensors, floatsOf, tensorOf } from './support/fixtures.ts';

interface Case {
  readonly adapters: readonly string[];
  readonly weights: readonly number[];
  readonly combination_type: CombineMethod;
  readonly density?: number;
  readonly majority_sign_method?: 'total' | 'frequency';
  readonly svd_rank?: number;
}

const { adapters, cases } = fixtureJson('combinations') as {
  adapters: Record<string, { r: number; alpha: number }>;
  cases: Record<string, Case>;
};
const tensors = fixtureTensors('combinations');
const sites: readonly Site[] = [
  { kind: 'linear', path: 'linear', inFeatures: 24, outFeatures: 20 },
  { kind: 'embedding', path: 'embedding', inFeatures: 24, outFeatures: 16 },
];
const optionsOf = (asked: Case): CombineOptions => ({
  method: asked.combination_type,
  density: asked.density,
  majoritySign: asked.majority_sign_method,
  rank: asked.svd_rank,
});

/** A fixture's numbers [rows, columns] the other way round. */
function turned(values: ArrayLike<number>, rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: rows * columns }, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}

/** What adapters make of a whole change lies as the weight does: an embedding's is [vocabulary, dimension]. */
function asLinear(values: ArrayLike<number>, { kind, inFeatures, outFeatures }: Site): ArrayLike<number> {
  return kind === 'linear' ? values : turned(values, inFeatures, outFeatures);
}

function partsOf(name: string, asked: Case, site: Site): WeightedPair[] {
  return asked.adapters.map((adapter, i) => {
    const { r: rank, alpha } = adapters[adapter]!;
    const half = (label: string): Float64Array =>
      Float64Array.from(floatsOf(tensors, `${adapter}.${site.path}.${label}`));
    const mask = (label: string): ArrayLike<number> =>
      tensorOf(tensors, `${name}.${site.path}.mask.${adapter}${label}`).data;
    return {
      a: half('A'),
      b: half('B'),
      rank,
      scale: alpha / rank,
      weight: asked.weights[i]!,
      keep: (part) => (part === 'change' ? asLinear(mask(''), site) : mask(`.${part}`)),
    };
  });
}

/** B A: [out, in]. */
function product(a: Float64Array, b: Float64Array, rank: number, { inFeatures, outFeatures }: Site): Float64Array {
  return Float64Array.from({ length: outFeatures * inFeatures }, (_, at) => {
    const [o, i] = [Math.floor(at / inFeatures), at % inFeatures];
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += b[o * rank + k]! * a[k * inFeatures + i]!;
    return sum;
  });
}

/** PEFT works in f32: a number that went through a few roundings is off by some 2^-24 of the largest beside it. */
function demandNear(got: ArrayLike<number>, expected: ArrayLike<number>, roundings: number): void {
  expect(got.length).toBe(expected.length);
  const largest = Math.max(...Array.from(expected, Math.abs));
  for (let i = 0; i < expected.length; i++) {
    expect(Math.abs(got[i]! - expected[i]!), String(i)).toBeLessThanOrEqual(roundings * 2 ** -24 * largest);
  }
}

describe.each(sites)('on the $path', (site) => {
  it.each(Object.entries(cases))('%s is PEFT’s', (name, asked) => {
    const { a, b, rank } = combinePairs(partsOf(name, asked, site), site, parseCombineOptions(optionsOf(asked)));
    const expected = asLinear(floatsOf(tensors, `${name}.${site.path}.delta`), site);
    const approximated = asked.combination_type.endsWith('svd');
    // torch's f32 SVD of a 24 x 20 matrix is off by a few dozen roundings; sums of six products by no more than eight.
    demandNear(product(a, b, rank, site), expected, approximated ? 96 : 8);
    // Singular vectors are free in sign; the halves of the other kinds are not.
    if (approximated) return;
    demandNear(a, floatsOf(tensors, `${name}.${site.path}.A`), 8);
    demandNear(b, floatsOf(tensors, `${name}.${site.path}.B`), 8);
  });
});
