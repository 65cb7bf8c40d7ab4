import type { ConfiguredAdapter } from '../adapter/adapter.ts';
import { CoreError } from '../errors/core-error.ts';
import { adapterRows, type AdapterRows } from './adapter-rows.ts';
import { inject } from './inject.ts';
import type { InjectedAdapter } from './injected-adapter.ts';
import type { Module } from './module.ts';

export interface AddOptions {
  /** Initial weights are a function of it. Default 0. */
  readonly seed?: number;
  /** Whether it has its effect at once. Default false: `activate` says which do. */
  readonly active?: boolean;
}

/** The adapters of one model, by name: put on, swapped and taken off without touching the base. */
export class ModelAdapters {
  readonly model: Module;
  readonly #adapters = new Map<string, InjectedAdapter>();

  constructor(model: Module) {
    this.model = model;
  }

  get names(): readonly string[] {
    return [...this.#adapters.keys()];
  }

  /** Names of those that have their effect. */
  get active(): readonly string[] {
    return [...this.#adapters].filter(([, adapter]) => adapter.active).map(([name]) => name);
  }

  /** @throws CoreError CORE_ARGUMENT for a name that is not there. */
  get(name: string): InjectedAdapter {
    const adapter = this.#adapters.get(name);
    if (adapter !== undefined) return adapter;
    throw new CoreError(
      'CORE_ARGUMENT',
      `no adapter is named '${name}'; there are ${this.names.join(', ') || 'none'}`,
      { value: name },
    );
  }

  /**
   * Puts another adapter on the model, set up on the model's own weights whatever is active; what was active is so again afterwards.
   * While it works the model is the base. Where it cannot be active beside the others, it stays on the model, switched off.
   * @throws as `inject` and `activate`.
   */
  async add(name: string, configured: ConfiguredAdapter, options: AddOptions = {}): Promise<InjectedAdapter> {
    const { seed = 0, active = false } = options;
    const before = this.active;
    this.activate();
    try {
      const adapter = await inject(this.model, configured, { name, seed });
      adapter.setActive(false);
      this.#adapters.set(name, adapter);
    } finally {
      this.activate(...before);
    }
    if (active) this.activate(...before, name);
    return this.get(name);
  }

  /** Takes charge of one that was put on by other means (`inject`, `combine`). */
  adopt(adapter: InjectedAdapter): InjectedAdapter {
    if (this.#adapters.has(adapter.name)) {
      throw new CoreError('CORE_ARGUMENT', `an adapter named '${adapter.name}' is here already`, {
        value: adapter.name,
      });
    }
    this.#adapters.set(adapter.name, adapter);
    return adapter;
  }

  /**
   * Exactly these have their effect from now on, added up; without names none, and the model is the base.
   * @throws CoreError CORE_ARGUMENT for a name that is not there, and for two that replace the same weight; all is as before then.
   */
  activate(...names: readonly string[]): void {
    const wanted = new Set(names.map((name) => this.get(name)));
    const before = [...this.#adapters.values()].filter((adapter) => adapter.active);
    try {
      for (const adapter of before) if (!wanted.has(adapter)) adapter.setActive(false);
      for (const adapter of wanted) if (!adapter.active) adapter.setActive(true);
    } catch (error) {
      for (const adapter of this.#adapters.values()) if (adapter.active) adapter.setActive(false);
      for (const adapter of before) adapter.setActive(true);
      throw error;
    }
  }

  /** Different adapters for different sequences of one batch: see `adapterRows`. */
  rows(lengths: readonly number[], names: readonly (string | undefined)[]): AdapterRows {
    return adapterRows(this.model, lengths, names);
  }

  /** Takes one off and frees its tensors. */
  remove(name: string): void {
    this.get(name).eject();
    this.#adapters.delete(name);
  }

  /** Takes all off, the last first. */
  dispose(): void {
    for (const name of this.names.toReversed()) this.remove(name);
  }
}
