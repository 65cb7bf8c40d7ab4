import {
  add,
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
import { parseDoraConfig, type DoraOptions } from './config.ts';
import { doraAdapter } from './dora-adapter.ts';

/** DoRA's options less those that choose modules. */
export type DoraLayerOptions = Omit<DoraOptions, ModelOption>;

/** A layer with DoRA on it. */
export class WrappedDora extends WrappedLowRank {
  /** What DoRA adds to the layer's output, alone: x [..., in] to [..., out]. */
  override delta(x: Tensor, pass: ForwardPass = inference): Tensor {
    const { slot, layer } = this;
    const product = layer.product(x);
    const y0 = layer.bias === undefined ? product : add(product, layer.bias);
    return slot.delta(x, y0, layer.frozenLayer(slot.site), pass);
  }
}

/**
 * Puts DoRA on one layer; sizes and magnitude come from there. The layer's own weight is frozen and never changed.
 * @throws AdapterError ADAPTER_CONFIG with the path of the option that is wrong.
 */
export async function wrapDora(
  layer: Linear | Embedding,
  options: DoraLayerOptions & WrapOptions = {},
): Promise<WrappedDora> {
  const { name, seed, ...rest } = options;
  const config = parseDoraConfig(rest);
  return new WrappedDora(layer, await wrapLayer(layer, { adapter: doraAdapter, config }, { name, seed }), config);
}
