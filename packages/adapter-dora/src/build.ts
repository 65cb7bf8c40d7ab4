import {
  configError,
  Embedding,
  FrozenWeight,
  linear,
  type Backend,
  type HostArray,
  type Linear,
  type Site,
  type WeightSource,
  type WrapOptions,
} from '@lowrank/core';
import { WrappedDora, wrapDora, type DoraLayerOptions } from './wrap.ts';

export interface BuildOptions extends DoraLayerOptions, WrapOptions {
  /** W [out, in], or an embedding's table [vocabulary, dimension]: values with a shape, or an array in any format. */
  readonly weight: WeightSource;
  /** b [out]. */
  readonly bias?: readonly number[] | Float32Array | undefined;
  /** `'linear'` (the default) or `'embedding'`. */
  readonly kind?: Site['kind'] | undefined;
}

/** A frozen layer of its own with DoRA on it. */
export class BuiltDora extends WrappedDora {
  /** Frees the adapter and the layer. */
  dispose(): void {
    this.eject();
    this.layer.dispose();
  }
}

/**
 * A layer with DoRA from a weight alone. DoRA decomposes a weight, so unlike LoRA it cannot be built from sizes.
 * @throws AdapterError ADAPTER_CONFIG with the path of the option that is wrong.
 */
export async function buildDora(backend: Backend, options: BuildOptions): Promise<BuiltDora> {
  const { weight, bias, kind = 'linear', ...rest } = options;
  if (kind === 'embedding' && bias !== undefined) {
    throw configError('dora', 'bias', bias, 'an embedding has no bias; leave it out');
  }
  const layer: Linear | Embedding =
    kind === 'embedding' ? new Embedding(new FrozenWeight(backend, arrayOf(weight))) : linear(backend, weight, bias);
  try {
    const { adapter, config } = await wrapDora(layer, rest);
    return new BuiltDora(layer, adapter, config);
  } catch (error) {
    layer.dispose();
    throw error;
  }
}

function arrayOf(weight: WeightSource): HostArray {
  return 'values' in weight ? { format: 'f32', shape: weight.shape, data: Float32Array.from(weight.values) } : weight;
}
