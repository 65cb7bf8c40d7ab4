import type { Adapter, AdapterConfig, HostState, HostWeight, Site } from '@lowrank/core';
import type { QloraConfig } from './config.ts';
import { fourBitBase } from './four-bit-base.ts';

/**
 * The adapter inside merged into the dequantized base, which it was trained on: not into the original, whose difference to the
 * base the adapter has learnt to make up for.
 */
export function mergeQlora<Inner extends AdapterConfig>(
  inner: Adapter<Inner>,
): (original: HostWeight, state: HostState, config: QloraConfig<Inner>, site: Site) => Promise<HostWeight> {
  return async (original, state, config, site) => {
    const base = state.base ?? (await fourBitBase(original, config.quantization, site.path));
    return inner.merge!(base, state, config, site);
  };
}
