import {
  AdapterError,
  decodeArray,
  hostWeightOf,
  isFourBitFormat,
  loftqStart,
  lowRankAt,
  lowRankScale,
  tensor,
  type Adapter,
  type AdapterConfig,
  type AdapterState,
  type HostWeight,
  type LowRankConfig,
  type SetupContext,
  type Site,
} from '@lowrank/core';
import type { QloraConfig } from './config.ts';
import { quantized } from './four-bit-base.ts';
import { disposeState, isPair } from './state.ts';

/**
 * The adapter inside, on a base that A and B stand in for the losses of: Q + s B A is nearer to the weight than Q. What they
 * started as is kept, as `A0` and `B0`: for files that stand on the original weight.
 * @throws AdapterError ADAPTER_UNSUPPORTED for an adapter that does not consist of A and B, ADAPTER_SITE for a weight that is in 4
 * bits already, or where `loftqStart` does.
 */
export async function setUpLoftq<Inner extends AdapterConfig>(
  inner: Adapter<Inner>,
  site: Site,
  original: HostWeight,
  config: QloraConfig<Inner>,
  context: SetupContext,
): Promise<AdapterState> {
  const { path } = site;
  if (isFourBitFormat(original.format)) {
    throw new AdapterError(
      'ADAPTER_SITE',
      `qlora: init 'loftq' makes up for what quantizing lost, and ${path} is in ${original.format} already; give it the original weight`,
      { path, value: original.format },
    );
  }
  const { rank, ...rest } = lowRankOf(inner.type, config, path);
  const { quantization } = config;
  const { a, b, base } = await loftqStart(site, original, {
    rank,
    scale: lowRankScale({ rank, ...rest }),
    iterations: quantization.loftqIterations,
    quantize(values) {
      const array = quantized(values, original.shape, quantization, path);
      return { array, values: decodeArray(array) };
    },
  });
  const state = await inner.setup(site, hostWeightOf(base), config, context);
  if (!isPair(state)) {
    disposeState(state);
    throw notAPair(inner.type, path);
  }
  const { A0, B0, ...buffers } = state.buffers;
  disposeState({ params: state.params, buffers: {} });
  for (const before of [A0, B0]) before?.dispose();
  const { backend } = context;
  const A = () => tensor(backend, a, [rank, site.inFeatures]);
  const B = () => tensor(backend, b, [site.outFeatures, rank]);
  return {
    params: { A: A(), B: B() },
    buffers: { ...buffers, A0: A(), B0: B() },
    base: hostWeightOf(base),
  };
}

/** Rank and scale, by the fields that adapters of LoRA's kind have. */
function lowRankOf(type: string, config: AdapterConfig, path: string): LowRankConfig {
  const { rank, alpha, rankPattern, alphaPattern } = config as Partial<LowRankConfig>;
  if (typeof rank !== 'number' || typeof alpha !== 'number') throw notAPair(type, path);
  return lowRankAt(
    { ...(config as LowRankConfig), rankPattern: rankPattern ?? {}, alphaPattern: alphaPattern ?? {} },
    path,
  );
}

function notAPair(type: string, path: string): AdapterError {
  return new AdapterError(
    'ADAPTER_UNSUPPORTED',
    `qlora: init 'loftq' sets A and B, and the adapter '${type}' does not consist of those alone; use it over LoRA`,
    { path, value: type },
  );
}
