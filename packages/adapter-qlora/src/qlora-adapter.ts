import {
  ADAPTER_INTERFACE_VERSION,
  AdapterError,
  type Adapter,
  type AdapterConfig,
  type AdapterState,
  type HostWeight,
  type SetupContext,
  type Site,
} from '@lowrank/core';
import { parseQloraQuantization, type QloraConfig, type QloraQuantizationOptions } from './config.ts';
import { qloraFiles } from './files.ts';
import { fourBitBase } from './four-bit-base.ts';
import { setUpLoftq } from './loftq.ts';
import { mergeQlora } from './merge.ts';
import { disposeState, isPair } from './state.ts';

/**
 * QLoRA (Dettmers et al. 2023, arXiv 2305.14314) over any adapter: the layer's weight becomes 4-bit blocks, which the backend
 * decodes while it multiplies, and all else is the adapter inside, on that base.
 * @param inner what is trained: `loraAdapter`, `doraAdapter`, one of your own.
 * @param options what a configuration without `quantization` means.
 * @throws AdapterError ADAPTER_CONFIG with the path of the option that is wrong.
 */
export function qloraAdapter<Inner extends AdapterConfig>(
  inner: Adapter<Inner>,
  options: QloraQuantizationOptions = {},
): Adapter<QloraConfig<Inner>> {
  const fallback = parseQloraQuantization(options);
  return {
    type: 'qlora',
    interfaceVersion: ADAPTER_INTERFACE_VERSION,

    parseConfig(input) {
      if (typeof input !== 'object' || input === null || Array.isArray(input)) {
        return { ...inner.parseConfig(input), quantization: fallback };
      }
      const { quantization, ...rest } = input as Record<string, unknown>;
      return {
        ...inner.parseConfig(rest),
        quantization: parseQloraQuantization(quantization, 'quantization.', fallback),
      };
    },

    setup: (site, original, config, context) =>
      config.quantization.init === 'loftq' && site.kind === 'linear'
        ? setUpLoftq(inner, site, original, config, context)
        : setUp(inner, site, original, config, context),

    delta: (x, y0, base, state, config, context) => inner.delta(x, y0, base, state, config, context),
    ...(inner.output === undefined
      ? {}
      : {
          output: (x, y0, base, state, config, context) => inner.output!(x, y0, base, state, config, context),
        }),
    ...(inner.merge === undefined ? {} : { merge: mergeQlora(inner) }),
    files: qloraFiles(inner, fallback),
  };
}

async function setUp<Inner extends AdapterConfig>(
  inner: Adapter<Inner>,
  site: Site,
  original: HostWeight,
  config: QloraConfig<Inner>,
  context: SetupContext,
): Promise<AdapterState> {
  const how = config.quantization;
  const base = await fourBitBase(original, how, site.path);
  const state = await inner.setup(site, base, config, context);
  if (state.base === undefined) return base === original ? state : { ...state, base };
  // PiSSA and OLoRA take the pair out of the weight: out of the original, and what they leave of it is quantized.
  disposeState(state);
  if (!isPair(state)) {
    throw new AdapterError(
      'ADAPTER_UNSUPPORTED',
      `qlora: the adapter '${inner.type}' as it is configured replaces the weight of ${site.path} and depends on it; choose an init that leaves the base alone`,
      { path: site.path },
    );
  }
  const again = await inner.setup(site, original, config, context);
  try {
    return { ...again, base: await fourBitBase(again.base!, how, site.path) };
  } catch (error) {
    disposeState(again);
    throw error;
  }
}
