import type { ConfiguredAdapter, HostState, Site } from '../adapter/adapter.ts';
import type { HostWeight } from '../adapter/host-weight.ts';
import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import { writeHost } from '../tensor/host-copy.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { AdapterPlacement } from './adapter-placement.ts';
import type { AdapterSlot } from './adapter-slot.ts';
import { matchState, readAll } from './adapter-state.ts';
import type { FrozenWeight } from './frozen-weight.ts';

/** An adapter on a model: its parameters, and the way off again. */
export class InjectedAdapter {
  readonly name: string;
  readonly configured: ConfiguredAdapter;
  readonly #placements: AdapterPlacement[];
  #merged = false;

  constructor(name: string, configured: ConfiguredAdapter, placements: AdapterPlacement[]) {
    this.name = name;
    this.configured = configured;
    this.#placements = placements;
  }

  /** Where it sits. */
  get sites(): readonly Site[] {
    return this.slots.map((slot) => slot.site);
  }

  /** Its place on each layer. */
  get slots(): readonly AdapterSlot[] {
    return this.#placements.map(({ slot }) => slot);
  }

  get merged(): boolean {
    return this.#merged;
  }

  /** Every trained tensor, as `<path>.<name>`. */
  parameters(): Map<string, Tensor> {
    return new Map(
      this.slots.flatMap(({ site, state }) =>
        Object.entries(state.params).map(([name, param]) => [`${site.path}.${name}`, param]),
      ),
    );
  }

  /** Adds its delta or not. The tensors stay. */
  setActive(active: boolean): void {
    if (this.#merged) {
      throw new CoreError('CORE_ARGUMENT', `setActive: '${this.name}' is merged into the weights; unmerge() it first`, {
        value: active,
      });
    }
    for (const slot of this.slots) slot.active = active;
  }

  /** Its tensors in host memory, by site path. */
  async hostStates(): Promise<Map<string, HostState>> {
    const states = new Map<string, HostState>();
    for (const { site, state } of this.slots) {
      states.set(site.path, { params: await readAll(state.params), buffers: await readAll(state.buffers) });
    }
    return states;
  }

  /**
   * Replaces its tensors' values; the sites and shapes must be the same.
   * @throws CoreError CORE_STATE naming the tensor that is missing, too many or of another shape; nothing is changed then.
   */
  load(states: ReadonlyMap<string, HostState>): void {
    const { slots } = this;
    for (const path of states.keys()) {
      if (!slots.some(({ site }) => site.path === path)) {
        throw new CoreError(
          'CORE_STATE',
          `the adapter has tensors for ${path}, which is not among its target modules here`,
          { value: path },
        );
      }
    }
    const writes: [Tensor, HostArray][] = [];
    for (const slot of slots) {
      const { path } = slot.site;
      const state = states.get(path);
      if (state === undefined) {
        throw new CoreError('CORE_STATE', `the adapter has no tensors for ${path}`, { value: path });
      }
      writes.push(...matchState(slot, state));
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
    this.#placements.length = 0;
    this.#merged = false;
  }
}
