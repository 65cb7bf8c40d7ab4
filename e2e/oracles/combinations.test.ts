/** Weighted combinations of adapters against PEFT's `add_weighted_adapter`. */
import { combinePairs, parseCombineOptions, type CombineMethod, type Site, type WeightedPair } from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { fixtureJson, fixtureTensors, greatestDifference, tensorOf } from './support/fixtures.ts';

const fixtures = fixtureTensors('combinations');
const { adapters, cases } = fixtureJson('combinations') as {
  adapters: Record<string, { r: number; alpha: number }>;
  cases: Record<
    string,
    {
      adapters: string[];
      weights: number[];
      combination_type: CombineMethod;
      density?: number;
      svd_rank?: number;
      majority_sign_method?: 'total' | 'frequency';
    }
  >;
};

const sites = {
  linear: { kind: 'linear', path: 'linear', inFeatures: 24, outFeatures: 20 },
  embedding: { kind: 'embedding', path: 'embedding', inFeatures: 24, outFeatures: 16 },
} satisfies Record<string, Site>;

/** B A of a linear layer; its transpose of an embedding: the weight's layout. */
function changeOf(a: ArrayLike<number>, b: ArrayLike<number>, rank: number, site: Site): Float64Array {
  const { inFeatures, outFeatures, kind } = site;
  const change = new Float64Array(inFeatures * outFeatures);
  for (let o = 0; o < outFeatures; o++) {
    for (let i = 0; i < inFeatures; i++) {
      const at = kind === 'embedding' ? i * outFeatures + o : o * inFeatures + i;
      for (let k = 0; k < rank; k++) change[at]! += b[o * rank + k]! * a[k * inFeatures + i]!;
    }
  }
  return change;
}

/** A mask that PEFT drew, for our [out, in] of an embedding's [vocabulary, dimension]. */
function maskOf(name: string, site: Site, whole: boolean): ArrayLike<number> {
  const { data } = tensorOf(fixtures, name);
  if (!whole || site.kind === 'linear') return data;
  const { inFeatures, outFeatures } = site;
  return Float32Array.from(
    data,
    (_, at) => data[(at % inFeatures) * outFeatures + Math.floor(at / inFeatures)] as number,
  );
}

const table = Object.entries(cases).flatMap(([name, options]) =>
  Object.values(sites).map((site: Site) => ({ name, options, site, layer: site.path })),
);

describe.each(table)('$name on the $layer', ({ name, options, site, layer }) => {
  const parts = options.adapters.map((adapter, i): WeightedPair => {
    const { r, alpha } = adapters[adapter]!;
    return {
      a: Float64Array.from(tensorOf(fixtures, `${adapter}.${layer}.A`).data),
      b: Float64Array.from(tensorOf(fixtures, `${adapter}.${layer}.B`).data),
      rank: r,
      scale: alpha / r,
      weight: options.weights[i]!,
      keep: (part) =>
        part === 'change'
          ? maskOf(`${name}.${layer}.mask.${adapter}`, site, true)
          : maskOf(`${name}.${layer}.mask.${adapter}.${part}`, site, false),
    };
  });
  const settings = parseCombineOptions({
    method: options.combination_type,
    density: options.density,
    rank: options.svd_rank,
    majoritySign: options.majority_sign_method,
  });
  const made = combinePairs(parts, site, settings);
  const theirs = (half: string): ArrayLike<number> => tensorOf(fixtures, `${name}.${layer}.${half}`).data;
  const approximated = options.combination_type.endsWith('svd');

  it('changes the weight as PEFT’s does', () => {
    expect(made.a.length).toBe(theirs('A').length);
    const expected = theirs('delta');
    const largest = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    // float32 sums of up to 14 products; PEFT's singular vectors are of float32 as well, and gaps between singular values amplify.
    const bound = (approximated ? 256 : 16) * 2 ** -24 * largest;
    expect(greatestDifference(changeOf(made.a, made.b, made.rank, site), expected)).toBeLessThan(bound);
  });

  const halves = approximated ? [] : (['A', 'B'] as const);

  it.each(halves)('has PEFT’s %s', (half) => {
    // A few roundings of numbers below 4.
    expect(greatestDifference(half === 'A' ? made.a : made.b, theirs(half))).toBeLessThan(4 * 4 * 2 ** -24);
  });
});
