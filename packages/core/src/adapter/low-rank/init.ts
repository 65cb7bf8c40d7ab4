import type { RandomStream } from '../../random/random-stream.ts';
import type { Site } from '../adapter.ts';
import type { LowRankConfig } from './config.ts';
import { orthogonalPair } from './orthogonal.ts';

/** Initial values, row-major f32: a [rank, in], b [out, rank]. */
export interface LowRankStart {
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/**
 * Linear layers: A as asked, B = 0. Embeddings the other way round whatever is asked, as in PEFT: A = 0, B ~ N(0, 1).
 * @param random a stream per purpose, keyed by seed and site.
 */
export function startLowRank(
  site: Site,
  config: Pick<LowRankConfig, 'rank' | 'init'>,
  random: (purpose: string) => RandomStream,
): LowRankStart {
  const { inFeatures, outFeatures } = site;
  const { rank, init } = config;
  if (site.kind === 'embedding') {
    return { a: new Float32Array(rank * inFeatures), b: random('B').normal(outFeatures * rank) };
  }
  switch (init) {
    case 'kaiming': {
      // Kaiming uniform with a = sqrt(5): bound = sqrt(6 / ((1 + 5) in)).
      const bound = 1 / Math.sqrt(inFeatures);
      return { a: random('A').uniform(rank * inFeatures, -bound, bound), b: new Float32Array(outFeatures * rank) };
    }
    case 'gaussian':
      return { a: random('A').normal(rank * inFeatures, 1 / rank), b: new Float32Array(outFeatures * rank) };
    case 'orthogonal':
      return orthogonalPair(inFeatures, outFeatures, rank, random);
    default:
      return init satisfies never;
  }
}
