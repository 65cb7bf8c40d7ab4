import {
  inference,
  WrappedLayer,
  wrapLayer,
  type Embedding,
  type ForwardPass,
  type InjectedAdapter,
  type Linear,
  type Tensor,
  type WrapOptions,
} from '@lowrank/core';
import { loraScale, parseLoraConfig, type LoraConfig, type LoraOptions } from './config.ts';
import { loraAdapter } from './lora-adapter.ts';

/** LoRA's options less those that choose modules. */
export type LoraLayerOptions = Omit<LoraOptions, 'targetModules' | 'excludeModules'>;

/** A layer with LoRA on it. */
export class WrappedLora extends WrappedLayer {
  readonly config: LoraConfig;

  constructor(layer: Linear | Embedding, adapter: InjectedAdapter, config: LoraConfig) {
    super(layer, adapter);
    this.config = config;
  }

  get rank(): number {
    return this.config.rank;
  }

  get alpha(): number {
    return this.config.alpha;
  }

  /** What multiplies B A: alpha / rank, or alpha / sqrt(rank). */
  get scale(): number {
    return loraScale(this.config);
  }

  /** What LoRA adds to the layer's output, alone: x [..., in] to [..., out]. */
  delta(x: Tensor, pass: ForwardPass = inference): Tensor {
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
