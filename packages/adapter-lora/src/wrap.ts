import {
  inference,
  WrappedLowRank,
  wrapLayer,
  type Embedding,
  type ForwardPass,
  type Linear,
  type ModelOption,
  type Tensor,
  type WrapOptions,
} from '@lowrank/core';
import { parseLoraConfig, type LoraOptions } from './config.ts';
import { loraAdapter } from './lora-adapter.ts';

/** LoRA's options less those that choose modules. */
export type LoraLayerOptions = Omit<LoraOptions, ModelOption>;

/** A layer with LoRA on it. */
export class WrappedLora extends WrappedLowRank {
  /** What LoRA adds to the layer's output, alone: x [..., in] to [..., out]. */
  override delta(x: Tensor, pass: ForwardPass = inference): Tensor {
    const { slot, layer } = this;
    return loraAdapter.delta(x, x, layer.frozenLayer(slot.site), slot.state, this.config, slot.context(pass));
  }
}

/**
 * Puts LoRA on one layer; its sizes come from there. The layer's own weight is frozen and never changed.
 * @throws AdapterError ADAPTER_CONFIG with the path of the option that is wrong.
 */
export async function wrapLora(
  layer: Linear | Embedding,
  options: LoraLayerOptions & WrapOptions = {},
): Promise<WrappedLora> {
  const { name, seed, ...rest } = options;
  const config = parseLoraConfig(rest);
  return new WrappedLora(layer, await wrapLayer(layer, { adapter: loraAdapter, config }, { name, seed }), config);
}
