import {
  AdapterSlot,
  configError,
  hostWeight,
  inference,
  keep,
  setupContext,
  type AdapterState,
  type Backend,
  type ForwardPass,
  type Site,
  type Tensor,
} from '@lowrank/core';
import { loraScale, parseLoraConfig, type LoraConfig } from './config.ts';
import { loraAdapter } from './lora-adapter.ts';
import type { LoraLayerOptions } from './wrap.ts';

export interface BuildOptions extends LoraLayerOptions {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** `'linear'` (the default) or `'embedding'`. */
  readonly kind?: Site['kind'] | undefined;
  /** Initial weights and masks depend on it. Default 'default'. */
  readonly name?: string | undefined;
  /** Default 0. */
  readonly seed?: number | undefined;
}

/** LoRA without a layer: for models whose base product is somebody else's. */
export class StandaloneLora {
  readonly config: LoraConfig;
  readonly #slot: AdapterSlot;

  constructor(slot: AdapterSlot, config: LoraConfig) {
    this.config = config;
    this.#slot = slot;
  }

  get name(): string {
    return this.#slot.name;
  }

  get inFeatures(): number {
    return this.#slot.site.inFeatures;
  }

  get outFeatures(): number {
    return this.#slot.site.outFeatures;
  }

  get rank(): number {
    return this.config.rank;
  }

  get alpha(): number {
    return this.config.alpha;
  }

  get scale(): number {
    return loraScale(this.config);
  }

  /** scale * B (A x), with dropout on x in a training pass: x [..., in] to [..., out]. */
  delta(x: Tensor, pass: ForwardPass = inference): Tensor {
    const { site, state } = this.#slot;
    // LoRA reads neither the base's output nor its product.
    const base = { ...site, bias: undefined, product: (input: Tensor) => input };
    return loraAdapter.delta(x, x, base, state, this.config, this.#slot.context(pass));
  }

  /** The trained tensors: `A` and `B`. */
  parameters(): Map<string, Tensor> {
    return new Map(Object.entries(this.#slot.state.params));
  }

  /** Frees its tensors. */
  dispose(): void {
    this.#slot.dispose();
  }
}

/**
 * A and B for sizes given by hand.
 * @throws AdapterError ADAPTER_CONFIG with the path of the option that is wrong.
 */
export async function buildLora(backend: Backend, options: BuildOptions): Promise<StandaloneLora> {
  const { inFeatures, outFeatures, kind = 'linear', name = 'default', seed = 0, ...rest } = options;
  checkSize('inFeatures', inFeatures);
  checkSize('outFeatures', outFeatures);
  const config = { ...parseLoraConfig(rest), targetModules: [name] };
  const site: Site = { kind, path: name, inFeatures, outFeatures };
  const shared = new Map<string, unknown>();
  const state = await loraAdapter.setup(
    site,
    absent(site),
    config,
    setupContext(backend, site, loraAdapter.type, seed, shared),
  );
  return new StandaloneLora(
    new AdapterSlot(name, site, { adapter: loraAdapter, config }, trainable(state), shared),
    config,
  );
}

function checkSize(path: string, size: number): void {
  if (!Number.isSafeInteger(size) || size < 1) {
    throw configError('lora', path, size, `${path} is ${String(size)}; give a whole number of 1 or more`);
  }
}

/** There is no weight to look at: a start that needs one says so. */
function absent({ inFeatures, outFeatures }: Site): ReturnType<typeof hostWeight> {
  return hostWeight([outFeatures, inFeatures], new Float32Array());
}

function trainable(state: AdapterState): AdapterState {
  for (const param of Object.values(state.params)) keep(param).requiresGrad = true;
  return state;
}
