import {
  configError,
  Embedding,
  FrozenWeight,
  keep,
  Linear,
  tensor,
  WrappedLayer,
  type AdapterConfig,
  type Backend,
  type Site,
  type WrapOptions,
} from '@lowrank/core';
import { parseQloraQuantization } from './config.ts';
import { quantized } from './four-bit-base.ts';
import type { QloraOptions } from './qlora.ts';
import { wrapQlora } from './wrap.ts';

export interface BuildOptions<Inner extends AdapterConfig = AdapterConfig> extends QloraOptions<Inner>, WrapOptions {
  /** W [out, in] row by row, or an embedding's table [vocabulary, dimension]. */
  readonly weight: { readonly values: readonly number[] | Float32Array; readonly shape: readonly [number, number] };
  /** b [out], kept as f32. */
  readonly bias?: readonly number[] | Float32Array | undefined;
  /** `'linear'` (the default) or `'embedding'`. */
  readonly kind?: Site['kind'] | undefined;
}

/** A frozen layer of its own, in 4 bits, with an adapter on it. */
export class BuiltQlora extends WrappedLayer {
  /** Frees the adapter and the layer. */
  dispose(): void {
    this.eject();
    this.layer.dispose();
  }
}

/**
 * A layer in 4 bits with an adapter, from a weight. The weight itself never gets to the backend, and is not kept.
 * @throws AdapterError ADAPTER_CONFIG with the path of the option that is wrong.
 */
export async function buildQlora<Inner extends AdapterConfig>(
  backend: Backend,
  options: BuildOptions<Inner>,
): Promise<BuiltQlora> {
  const { weight, bias, kind = 'linear', name, seed, adapter, ...rest } = options;
  if (kind === 'embedding' && bias !== undefined) {
    throw configError('qlora', 'bias', bias, 'an embedding has no bias; leave it out');
  }
  const how = parseQloraQuantization(rest);
  if (how.init === 'loftq') {
    throw configError(
      'qlora',
      'init',
      how.init,
      "'loftq' needs the original weight, which `build` does not keep; use `wrap`",
    );
  }
  const base = new FrozenWeight(backend, quantized(Float32Array.from(weight.values), weight.shape, how, 'the layer'));
  const layer =
    kind === 'embedding'
      ? new Embedding(base)
      : new Linear(base, bias === undefined ? undefined : keep(tensor(backend, bias, [bias.length])));
  try {
    const { adapter: injected } = await wrapQlora(layer, { ...how, adapter, name, seed });
    return new BuiltQlora(layer, injected);
  } catch (error) {
    layer.dispose();
    throw error;
  }
}
