import type { AdapterConfig, ConfiguredAdapter, Site } from '../adapter/adapter.ts';
import { CoreError } from '../errors/core-error.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { AdapterSlot } from './adapter-slot.ts';
import type { Embedding } from './embedding.ts';
import { inject } from './inject.ts';
import type { InjectedAdapter } from './injected-adapter.ts';
import type { Linear } from './linear.ts';
import { inference, Module, type ForwardPass } from './module.ts';

export interface WrapOptions {
  /** The adapter's name on this layer: initial weights and masks depend on it. Needed where a layer has several. Default 'default'. */
  readonly name?: string | undefined;
  /** Default 0. */
  readonly seed?: number | undefined;
}

/** One layer under a name of its own. */
class Single extends Module {
  constructor(name: string, layer: Linear | Embedding) {
    super();
    this.child(name, layer);
  }
}

/** One layer with one adapter, for those who build their models themselves. */
export class WrappedLayer {
  readonly layer: Linear | Embedding;
  /** The adapter alone, as `inject` gives it: for saving and loading. */
  readonly adapter: InjectedAdapter;
  protected readonly slot: AdapterSlot;

  constructor(layer: Linear | Embedding, adapter: InjectedAdapter) {
    this.layer = layer;
    this.adapter = adapter;
    this.slot = adapter.slots[0]!;
  }

  get name(): string {
    return this.adapter.name;
  }

  get inFeatures(): number {
    return this.layer.inFeatures;
  }

  get outFeatures(): number {
    return this.layer.outFeatures;
  }

  get site(): Site {
    return this.slot.site;
  }

  get merged(): boolean {
    return this.adapter.merged;
  }

  /** x [..., in] (an embedding's ids [...]) to [..., out]: the layer with all adapters on it. */
  forward(x: Tensor, pass: ForwardPass = inference): Tensor {
    return this.layer.forward(x, pass);
  }

  /** The trained tensors by name: `A`, `B`. */
  parameters(): Map<string, Tensor> {
    return new Map(Object.entries(this.slot.state.params));
  }

  /** Puts the merged weight in the layer's place. */
  merge(): Promise<void> {
    return this.adapter.merge();
  }

  /** Brings back the weight from before, bit for bit. */
  unmerge(): void {
    this.adapter.unmerge();
  }

  /** Takes the adapter off and frees its tensors; the layer is as before, bit for bit. */
  eject(): void {
    this.adapter.eject();
  }
}

/** Puts an adapter on one layer, whatever its target modules say. Adapters build their own `wrap` on this. */
export async function wrapLayer(
  layer: Linear | Embedding,
  { adapter, config }: ConfiguredAdapter,
  options: WrapOptions = {},
): Promise<InjectedAdapter> {
  const { name = 'default', seed = 0 } = options;
  if (name === '') {
    throw new CoreError('CORE_ARGUMENT', 'wrap: the name is empty; give the adapter a name, or leave it out', {
      value: name,
    });
  }
  const here = { adapter, config: { ...config, ...onlyHere(name) } };
  return inject(new Single(name, layer), here, { name, seed });
}

/** Takes the place of what a configuration says about a model's modules. */
function onlyHere(name: string): AdapterConfig {
  return {
    targetModules: [name],
    excludeModules: [],
    layersToTransform: [],
    layersPattern: [],
    modulesToSave: [],
    bias: 'none',
  };
}
