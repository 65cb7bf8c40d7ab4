/**
 * The adapter interface: everything an adapter is, on this page. It is written once, in core's differentiable
 * operations, and runs on every backend. Nothing else in the library knows a particular adapter.
 *
 * An adapter never changes a base weight: it adds `delta` to what the base layer gives, so that several can share one
 * base product, and taking it off restores the base exactly.
 */
import type { Backend } from '../backend/backend.ts';
import type { HostArray } from '../host/arrays.ts';
import type { RandomStream } from '../random/random-stream.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { HostWeight } from './host-weight.ts';

/** The version of the interface on this page. A plugin of another version is refused. */
export const ADAPTER_INTERFACE_VERSION = 1;

/** Where an adapter can sit. */
export interface Site {
  readonly kind: 'linear' | 'embedding';
  /** The module's name, as Hugging Face names it: `model.layers.0.self_attn.q_proj`. */
  readonly path: string;
  /** Columns of a linear weight; the vocabulary of an embedding. */
  readonly inFeatures: number;
  /** Rows of a linear weight; the dimension of an embedding. */
  readonly outFeatures: number;
}

/** What an adapter may ask of the layer it sits on. */
export interface FrozenLayer extends Site {
  readonly bias: Tensor | undefined;
  /** x times the base weight, without bias and without gradient toward the weight. */
  product(x: Tensor): Tensor;
  /** Whether the weight is another one than `setup` saw (an adapter was merged since, or another one's base switched off). */
  readonly changed?: boolean;
}

/** An adapter's tensors at one site. */
export interface AdapterState {
  /** Trained and saved. */
  readonly params: Readonly<Record<string, Tensor>>;
  /** Saved, not trained. */
  readonly buffers: Readonly<Record<string, Tensor>>;
  /** Replaces the layer's weight while the adapter is on (PiSSA's residual, QLoRA's 4-bit blocks). */
  readonly base?: HostWeight;
}

/** The same tensors in host memory. */
export interface HostState {
  readonly params: Readonly<Record<string, HostArray>>;
  readonly buffers: Readonly<Record<string, HostArray>>;
  /** For `merge`: the weight that `setup` put in the layer's place, where it did. Not saved: `setup` makes it again. */
  readonly base?: HostWeight;
}

/** What `setup` gets. Random numbers are a function of the run's seed and the site's path alone. */
export interface SetupContext {
  readonly backend: Backend;
  /** Numbers for this site and purpose, the same on every backend and JavaScript engine. */
  readonly random: (purpose: string) => RandomStream;
  /** What all sites of this adapter have in common, made once; what is `Disposable` goes when the adapter does. */
  readonly shared: <T>(key: string, make: () => T) => T;
}

/** What `delta` gets. */
export interface AdapterContext {
  readonly training: boolean;
  /** Drops elements of x while training, by a mask that (seed, step, path, row) names: recomputation sees the same one. */
  readonly dropout: (x: Tensor, probability: number) => Tensor;
  readonly shared: <T>(key: string, make: () => T) => T;
  /** A tensor kept until one of this site's parameters changes (DoRA's norm). */
  readonly memo: (key: string, make: () => Tensor) => Tensor;
}

/** One weight's low-rank pair as llama.cpp reads it: loaded scale = alpha / rank. */
export interface GgufPair {
  readonly alpha: number;
  /** f32 [rank, in]; for an embedding the other way round, [vocabulary, rank], as llama.cpp wants `token_embd`. */
  readonly a: HostArray;
  /** f32 [out, rank]; an embedding's [dimension, rank]. */
  readonly b: HostArray;
}

/** How an adapter looks in other tools' files, or why it has no form there. */
export interface AdapterFiles<Config> {
  readonly gguf:
    | { readonly unsupported: string }
    | {
        /** The pair whose low-rank product equals the adapter's change of the weight. */
        toPair(state: HostState, config: Config, site: Site): GgufPair;
        /** Parameters from a pair, and the configuration they go with. */
        fromPair(pair: GgufPair, site: Site): { state: HostState; config: Config };
        /** One configuration out of those that `fromPair` gave, by site path, where they may differ (in rank, in alpha). */
        joinConfigs?(bySite: ReadonlyMap<string, Config>): Config;
      };
  readonly peft:
    | { readonly unsupported: string }
    | {
        readonly peftType: string;
        /** Suffix of each parameter's key after the module's path: `{ A: 'lora_A.weight' }`. */
        tensorNames(site: Site): Readonly<Record<string, string>>;
        /** The tensors as they are written, where they differ from the state's (PiSSA, whose base PEFT would change). */
        toState?(state: HostState, config: Config, site: Site): HostState;
        toConfig(config: Config): Record<string, unknown>;
        fromConfig(config: Record<string, unknown>): Config;
      };
}

/** What every adapter's configuration has. */
export interface AdapterConfig {
  /** Which modules: names or ends of names, `'all-linear'`, or a regular expression on the whole path as a string. */
  readonly targetModules: readonly string[] | string;
  /** Left out even when targeted. */
  readonly excludeModules: readonly string[] | string;
  /** Of the targets only those in these layers, by number (`model.layers.3` is 3); absent or empty: all. */
  readonly layersToTransform?: readonly number[];
  /** The list that layers are counted in, for models with several: `['layers']`. Absent or empty: any. */
  readonly layersPattern?: readonly string[];
  /** Modules trained whole beside the adapter, by name or end of name: `lm_head`, `embed_tokens`, a norm. Default none. */
  readonly modulesToSave?: readonly string[];
  /** A weight with several uses (a tied head) is copied once for all of them. Default: each named use gets a copy of its own. */
  readonly keepTies?: boolean;
  /** Biases trained beside the adapter: `'lora_only'` means those of the layers that it sits on. Default `'none'`. */
  readonly bias?: 'none' | 'all' | 'lora_only';
}

export interface Adapter<Config extends AdapterConfig = AdapterConfig> {
  /** `'lora'`. */
  readonly type: string;
  readonly interfaceVersion: typeof ADAPTER_INTERFACE_VERSION;
  /** @throws AdapterError ADAPTER_CONFIG with the path of the field that is wrong. */
  parseConfig(input: unknown): Config;
  setup(site: Site, original: HostWeight, config: Config, context: SetupContext): Promise<AdapterState>;
  /** What is added to y0 = base(x). */
  delta(x: Tensor, y0: Tensor, base: FrozenLayer, state: AdapterState, config: Config, context: AdapterContext): Tensor;
  /**
   * y0 + delta(x, y0, ...) in fewer passes over memory, where an adapter knows how: used where it is alone on its layer. y0 is its to
   * change (`addInto`). The suite holds it against `delta`. Absent: `delta` is added.
   */
  output?(
    x: Tensor,
    y0: Tensor,
    base: FrozenLayer,
    state: AdapterState,
    config: Config,
    context: AdapterContext,
  ): Tensor;
  /** The weight that alone gives what base and adapter give together, computed in float64. Absent when there is none. */
  merge?(original: HostWeight, state: HostState, config: Config, site: Site): Promise<HostWeight>;
  readonly files: AdapterFiles<Config>;
}

/** An adapter with its configuration: what `lora({ rank: 8 })` gives and `inject` takes. */
export interface ConfiguredAdapter<Config extends AdapterConfig = AdapterConfig> {
  readonly adapter: Adapter<Config>;
  readonly config: Config;
}

export type AdapterErrorCode = 'ADAPTER_CONFIG' | 'ADAPTER_SITE' | 'ADAPTER_STATE' | 'ADAPTER_UNSUPPORTED';

/** What adapters throw. `path` names the configuration field or the site. */
export class AdapterError extends Error {
  override readonly name = 'AdapterError';
  readonly code: AdapterErrorCode;
  readonly path: string | undefined;
  readonly value: unknown;

  constructor(code: AdapterErrorCode, message: string, options: { path?: string; value?: unknown } = {}) {
    super(message);
    this.code = code;
    this.path = options.path;
    this.value = options.value;
  }
}
