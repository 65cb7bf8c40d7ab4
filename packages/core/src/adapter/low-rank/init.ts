import type { RandomStream } from '../../random/random-stream.ts';
import { tensor, type Tensor } from '../../tensor/tensor.ts';
import { AdapterError, type SetupContext, type Site } from '../adapter.ts';
import type { HostWeight } from '../host-weight.ts';
import { lowRankScale, type LowRankConfig, type LowRankInit } from './config.ts';
import { oloraStart, pissaStart } from './from-weight.ts';
import { orthogonalPair } from './orthogonal.ts';

/** Initial values, row-major f32: a [rank, in], b [out, rank]. */
export interface LowRankStart {
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** A and B on a backend, what they started as where that left the base, and the base then. */
export interface LowRankTensors {
  readonly params: { readonly A: Tensor; readonly B: Tensor };
  /** `A0` and `B0`, which the base lacks; with a base of its own only. */
  readonly buffers: Readonly<Record<string, Tensor>>;
  readonly base?: HostWeight;
}

/** Whether a way to start takes s B A out of the base. */
function replacesBase(init: LowRankInit, { kind }: Pick<Site, 'kind'>): boolean {
  return kind === 'linear' && (init === 'pissa' || init === 'olora');
}

/**
 * A and B as asked, at one site.
 * @param config with the site's own rank and alpha: see `lowRankAt`.
 * @throws AdapterError ADAPTER_SITE where the start is made of the weight and cannot be.
 */
export async function setUpLowRank(
  site: Site,
  original: HostWeight,
  config: LowRankConfig,
  { backend, random }: Pick<SetupContext, 'backend' | 'random'>,
): Promise<LowRankTensors> {
  const { rank, init } = config;
  const pair = ({ a, b }: LowRankStart): [Tensor, Tensor] => [
    tensor(backend, a, [rank, site.inFeatures]),
    tensor(backend, b, [site.outFeatures, rank]),
  ];
  if (!replacesBase(init, site)) {
    const [A, B] = pair(startLowRank(site, config, random));
    return { params: { A, B }, buffers: {} };
  }
  const start = init === 'pissa' ? pissaStart : oloraStart;
  const { base, ...values } = await start(site, original, rank, lowRankScale(config));
  const [A, B] = pair(values);
  const [A0, B0] = pair(values);
  return { params: { A, B }, buffers: { A0, B0 }, base };
}

/**
 * Starts that need no weight. Linear layers: A as asked, B = 0. Embeddings the other way round whatever is asked, as in PEFT: A = 0, B ~ N(0, 1).
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
    case 'pissa':
    case 'olora':
      throw new AdapterError('ADAPTER_SITE', `init '${init}' is made of a weight, and ${site.path} has none here`, {
        path: site.path,
        value: init,
      });
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
