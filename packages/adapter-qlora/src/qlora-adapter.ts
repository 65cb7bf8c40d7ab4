import {
  ADAPTER_INTERFACE_VERSION,
  AdapterError,
  type Adapter,
  type AdapterConfig,
  type AdapterState,
} from '@lowrank/core';
import { parseQuantization, type QloraConfig, type QuantizationOptions } from './config.ts';
import { qloraFiles } from './files.ts';
import { fourBitBase } from './four-bit-base.ts';
import { mergeQlora } from './merge.ts';

/**
 * QLoRA (Dettmers et al. 2023, arXiv 2305.14314) over any adapter: the layer's weight becomes 4-bit blocks, which the backend
 * decodes while it multiplies, and all else is the adapter inside, on that base.
 * @param inner what is trained: `loraAdapter`, `doraAdapter`, one of your own.
 * @param options what a configuration without `quantization` means.
 * @throws AdapterError ADAPTER_CONFIG with the path of the option that is wrong.
 */
export function qloraAdapter<Inner extends AdapterConfig>(
  inner: Adapter<Inner>,
  options: QuantizationOptions = {},
): Adapter<QloraConfig<Inner>> {
  const fallback = parseQuantization(options);
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
        quantization: parseQuantization(quantization, 'quantization.', fallback),
      };
    },

    async setup(site, original, config, context) {
      const base = await fourBitBase(original, config.quantization, site.path);
      const state = await inner.setup(site, base, config, context);
      if (state.base !== undefined) {
        dispose(state);
        throw new AdapterError(
          'ADAPTER_UNSUPPORTED',
          `qlora: the adapter '${inner.type}' as it is configured replaces the weight of ${site.path}, which 4 bits do so too; choose an init that leaves the base alone`,
          { path: site.path },
        );
      }
      return base === original ? state : { ...state, base };
    },

    delta: (x, y0, base, state, config, context) => inner.delta(x, y0, base, state, config, context),
    ...(inner.merge === undefined ? {} : { merge: mergeQlora(inner) }),
    files: qloraFiles(inner, fallback),
  };
}

function dispose({ params, buffers }: AdapterState): void {
  for (const tensor of [...Object.values(params), ...Object.values(buffers)]) tensor.dispose();
}
