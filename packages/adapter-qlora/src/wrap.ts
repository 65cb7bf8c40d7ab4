import {
  WrappedLayer,
  wrapLayer,
  type AdapterConfig,
  type Embedding,
  type Linear,
  type WrapOptions,
} from '@lowrank/core';
import { parseQloraQuantization } from './config.ts';
import { qloraAdapter } from './qlora-adapter.ts';
import type { QloraOptions } from './qlora.ts';

/**
 * Puts an adapter over 4 bits on one layer. The layer's own weight is kept, for `eject`.
 * @throws AdapterError ADAPTER_CONFIG with the path of the option that is wrong.
 */
export async function wrapQlora<Inner extends AdapterConfig>(
  layer: Linear | Embedding,
  options: QloraOptions<Inner> & WrapOptions,
): Promise<WrappedLayer> {
  const { name, seed, adapter: inner, ...rest } = options;
  const quantization = parseQloraQuantization(rest);
  const adapter = qloraAdapter(inner.adapter, quantization);
  const configured = { adapter, config: { ...inner.config, quantization } };
  return new WrappedLayer(layer, await wrapLayer(layer, configured, { name, seed }));
}
