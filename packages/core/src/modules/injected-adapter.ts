import type { ConfiguredAdapter, HostState, Site } from '../adapter/adapter.ts';
import type { HostWeight } from '../adapter/host-weight.ts';
import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import { writeHost } from '../tensor/host-copy.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { AdapterPlacement } from './adapter-placement.ts';
import { disposeShared, type AdapterSlot } from './adapter-slot.ts';
import { takeSnapshot, type AdapterSnapshot, type Restorable } from './adapter-snapshot.ts';
import { matchState, readAll, type TensorsAt } from './adapter-state.ts';
import type { FrozenWeight } from './frozen-weight.ts';
import type { TrainedCopy } from './trained-copy.ts';

/** What an adapter put on a model. */
interface Parts {
  readonly placements: AdapterPlacement[];
  readonly copies: TrainedCopy[];
  /** What its sites have in common. */
  readonly shared: Map<string, unknown>;
}

/** An adapter on a model: its parameters, and the way off again. */
export class InjectedAdapter {
  readonly name: string;
  readonly configured: ConfiguredAdapter;
  readonly #placements: AdapterPlacement[];
  readonly #copies: TrainedCopy[];
  readonly #shared: Map<string, unknown>;
  #merged = false;
  #active = true;

  constructor(name: string, configured: ConfiguredAdapter, { placements, copies, shared }: Parts) {
    this.name = name;
    this.configured = configured;
    this.#placements = placements;
    this.#copies = copies;
    this.#shared = shared;
  }

  /** Where it sits. */
  get sites(): readonly Site[] {
    return this.slots.map((slot) => slot.site);
  }

  /** Its place on each layer. */
  get slots(): readonly AdapterSlot[] {
    return this.#placements.map(({ slot }) => slot);
  }

  /** The model's weights that it trains copies of: modules to save, biases. */
  get copies(): readonly TrainedCopy[] {
    return this.#copies;
  }

  get merged(): boolean {
    return this.#merged;
  }

  /** Whether it has an effect, live. */
  get active(): boolean {
    return this.#active && !this.#merged;
  }

  /** Every trained tensor, as `<path>.<name>`: those of its sites, then the copies. */
  parameters(): Map<string, Tensor> {
    const all = new Map<string, Tensor>();
    for (const [path, { params }] of this.#tensors()) {
      for (const [name, param] of Object.entries(params)) all.set(`${path}.${name}`, param);
    }
    return all;
  }

  /**
   * Has its effect or not: adds its delta, and puts its copies and its base, where it brings one, in the place of the model's.
   * Off, the model is as it was, bit for bit; the tensors stay.
   * @throws CoreError CORE_ARGUMENT while it is merged, and where another adapter that is on has replaced a weight that this
   * one replaces; nothing is changed then.
   */
  setActive(active: boolean): void {
    if (this.#merged) {
      throw new CoreError('CORE_ARGUMENT', `setActive: '${this.name}' is merged into the weights; unmerge() it first`, {
        value: active,
      });
    }
    for (const placement of this.#placements) placement.assertSwitchable(active);
    if (active) for (const copy of this.#copies) copy.requireFree();
    for (const placement of this.#placements) placement.setActive(active);
    for (const copy of this.#copies) {
      if (active) copy.activate();
      else copy.deactivate();
    }
    this.#active = active;
  }

  /** Its tensors in host memory, by module path; a copy is the param `weight` or `bias` of its module. */
  async hostStates(): Promise<Map<string, HostState>> {
    const states = new Map<string, HostState>();
    for (const [path, { params, buffers }] of this.#tensors()) {
      states.set(path, { params: await readAll(params), buffers: await readAll(buffers) });
    }
    return states;
  }

  /**
   * Its trained tensors as they are now, to come back to while it trains: `rollback` puts them back bit for bit, `commit` lets the
   * copies go.
   * @param options.optimizer whose moments and step count belong to it. Without it they go on from where they are: a rolled
   * back adapter then takes other steps than it would have taken.
   */
  async snapshot<State>(options: { readonly optimizer?: Restorable<State> } = {}): Promise<AdapterSnapshot> {
    return takeSnapshot(this.name, this.parameters().values(), options.optimizer);
  }

  /** All its tensors, by module path. */
  #tensors(): Map<string, TensorsAt> {
    const all = new Map<string, TensorsAt>(this.slots.map(({ site, state }) => [site.path, state]));
    for (const { path, name, tensor } of this.#copies) {
      const { params, buffers } = all.get(path) ?? { params: {}, buffers: {} };
      all.set(path, { params: { ...params, [name]: tensor }, buffers });
    }
    return all;
  }

  /**
   * Replaces its tensors' values; the modules and shapes must be the same.
   * @throws CoreError CORE_STATE naming the tensor that is missing, too many or of another shape; nothing is changed then.
   */
  load(states: ReadonlyMap<string, HostState>): void {
    const all = this.#tensors();
    for (const path of states.keys()) {
      if (!all.has(path)) {
        throw new CoreError(
          'CORE_STATE',
          `the adapter has tensors for ${path}, which is not among its target modules (or modules to save) here`,
          { value: path },
        );
      }
    }
    const writes: [Tensor, HostArray][] = [];
    for (const [path, tensors] of all) {
      const state = states.get(path);
      if (state === undefined) {
        throw new CoreError('CORE_STATE', `the adapter has no tensors for ${path}`, { value: path });
      }
      writes.push(...matchState(path, tensors, this.configured.adapter.type, state));
    }
    for (const [target, source] of writes) writeHost(target, source, 'the adapter');
  }

  /**
   * The weight that base and adapter make together at one site, decoded.
   * @throws CoreError CORE_ARGUMENT when the adapter is not there; AdapterError when it cannot be merged.
   */
  async mergedWeight(path: string): Promise<HostWeight> {
    const placement = this.#placements.find(({ slot }) => slot.site.path === path);
    if (placement === undefined) {
      throw new CoreError('CORE_ARGUMENT', `the adapter '${this.name}' does not sit on ${path}`, { value: path });
    }
    return placement.mergedValues();
  }

  /** Puts the merged weights in the layers' place; `unmerge` brings back the ones before, bit for bit. */
  async merge(): Promise<void> {
    if (this.#merged) return;
    const merged: FrozenWeight[] = [];
    try {
      for (const placement of this.#placements) merged.push(await placement.mergedWeight());
    } catch (error) {
      for (const weight of merged) weight.dispose();
      throw error;
    }
    this.#placements.forEach((placement, i) => placement.merge(merged[i]!));
    this.#merged = true;
  }

  /** @throws CoreError CORE_ARGUMENT when another adapter was merged on top; nothing is changed then. */
  unmerge(): void {
    for (const placement of this.#placements) placement.assertUppermost('unmerge');
    for (const placement of this.#placements) placement.unmerge();
    this.#merged = false;
  }

  /**
   * Takes the adapter off and frees its tensors; the layers are as before, bit for bit.
   * @throws CoreError CORE_ARGUMENT when another adapter was merged on top; nothing is changed then.
   */
  eject(): void {
    for (const placement of this.#placements) placement.assertUppermost('eject');
    for (const placement of this.#placements) placement.eject();
    for (const copy of this.#copies) copy.dispose();
    disposeShared(this.#shared);
    this.#placements.length = 0;
    this.#copies.length = 0;
    this.#merged = false;
    this.#active = false;
  }
}
