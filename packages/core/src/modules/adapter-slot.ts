import type { AdapterContext, AdapterState, ConfiguredAdapter, FrozenLayer, Site } from '../adapter/adapter.ts';
import { addInto } from '../ops/add-into.ts';
import { dropout } from '../ops/dropout.ts';
import { nameHash, seedKey } from '../random/random-stream.ts';
import { keep, noGrad } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { ForwardPass, Weight } from './module.ts';

interface Memo {
  readonly version: number;
  readonly value: Tensor;
}

/** An adapter's place on one layer: its tensors there, and what it is asked with. */
export class AdapterSlot {
  /** The adapter's name on this model: `'default'`. */
  readonly name: string;
  readonly site: Site;
  readonly configured: ConfiguredAdapter;
  readonly state: AdapterState;
  /** Whether the layer adds this adapter's delta. */
  active = true;
  /** The weight that it stands on: what it was set up for, or brought along. */
  standsOn: Weight | undefined;
  readonly #shared: Map<string, unknown>;
  readonly #memos = new Map<string, Memo>();

  constructor(
    name: string,
    site: Site,
    configured: ConfiguredAdapter,
    state: AdapterState,
    shared: Map<string, unknown>,
  ) {
    this.name = name;
    this.site = site;
    this.configured = configured;
    this.state = state;
    this.#shared = shared;
  }

  delta(x: Tensor, y0: Tensor, base: FrozenLayer, pass: ForwardPass): Tensor {
    const { adapter, config } = this.configured;
    return adapter.delta(x, y0, base, this.state, config, this.context(pass));
  }

  /** The layer's output with this adapter alone; takes y0 over. */
  output(x: Tensor, y0: Tensor, base: FrozenLayer, pass: ForwardPass): Tensor {
    const { adapter, config } = this.configured;
    return adapter.output === undefined
      ? addInto(y0, this.delta(x, y0, base, pass))
      : adapter.output(x, y0, base, this.state, config, this.context(pass));
  }

  dispose(): void {
    for (const tensor of [...Object.values(this.state.params), ...Object.values(this.state.buffers)]) tensor.dispose();
    for (const memo of this.#memos.values()) memo.value.dispose();
    this.#memos.clear();
  }

  /** What the adapter is given in a pass. */
  context(pass: ForwardPass): AdapterContext {
    const stream = [pass.step >>> 0, nameHash(`${this.name}/${this.site.path}`)] as const;
    return {
      training: pass.training,
      dropout: (x, probability) => (pass.training ? dropout(x, { probability, key: seedKey(pass.seed), stream }) : x),
      shared: <T>(key: string, make: () => T) => sharedValue(this.#shared, key, make),
      memo: (key, make) => this.#memo(key, make),
    };
  }

  #memo(key: string, make: () => Tensor): Tensor {
    const version = Object.values(this.state.params).reduce((sum, param) => sum + param.version, 0);
    const known = this.#memos.get(key);
    if (known?.version === version) return known.value;
    known?.value.dispose();
    const value = keep(noGrad(make));
    this.#memos.set(key, { version, value });
    return value;
  }
}

/** Frees what an adapter's sites had in common, as far as it can be freed. */
export function disposeShared(shared: Map<string, unknown>): void {
  for (const value of shared.values()) {
    if (typeof value === 'object' && value !== null && Symbol.dispose in value) (value as Disposable)[Symbol.dispose]();
  }
  shared.clear();
}

/** The value under `key`, made at first use. */
export function sharedValue<T>(shared: Map<string, unknown>, key: string, make: () => T): T {
  if (!shared.has(key)) shared.set(key, make());
  return shared.get(key) as T;
}
