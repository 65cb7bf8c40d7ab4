import { AdapterError, type HostState } from '../adapter/adapter.ts';
import { hostWeight, type HostWeight } from '../adapter/host-weight.ts';
import { decodeArray } from '../blocks/index.ts';
import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import { readAll } from './adapter-state.ts';
import type { AdapterSlot } from './adapter-slot.ts';
import type { Adaptable } from './adaptable.ts';
import { FrozenWeight, isFrozen } from './frozen-weight.ts';
import type { Weight } from './module.ts';
import { requireFree, setOwner } from './weight-owner.ts';

/**
 * One adapter on one layer, and the weights that took turns there: `before` the adapter came, its own `base` while it is
 * live (usually the same), `merged` while it is merged. Weights lie on each other like plates: only the uppermost can go.
 */
export class AdapterPlacement {
  readonly layer: Adaptable;
  readonly slot: AdapterSlot;
  readonly #before: Weight;
  readonly #base: Weight;
  #merged: { readonly weight: FrozenWeight; readonly under: Weight; readonly wasActive: boolean } | undefined;

  /** @param base the adapter's own, when it brings one. */
  constructor(layer: Adaptable, slot: AdapterSlot, base: FrozenWeight | undefined) {
    this.layer = layer;
    this.slot = slot;
    this.#before = layer.weight;
    this.#base = base ?? layer.weight;
    slot.standsOn = this.#base;
    if (base === undefined) return;
    setOwner(base, slot.name);
  }

  /** Whether the adapter brings a base of its own. */
  get replacesBase(): boolean {
    return this.#base !== this.#before;
  }

  /** Brings the adapter into effect. */
  attach(): void {
    if (this.replacesBase) this.layer.replaceWeight(this.#base);
    this.layer.attach(this.slot);
  }

  /** Throws unless the adapter can be switched on or off without disturbing another that replaced the weight after it. */
  assertSwitchable(active: boolean): void {
    const { slot, layer } = this;
    if (!this.replacesBase || active === slot.active) return;
    if (!active) return this.assertUppermost('setActive');
    requireFree(layer.weight, `the weight of ${slot.site.path}`, slot.name);
    this.#assertOriginal('setActive');
  }

  /** Adds the delta or not; a base that the adapter brought goes with it. */
  setActive(active: boolean): void {
    const { slot, layer } = this;
    if (this.replacesBase && active !== slot.active) layer.replaceWeight(active ? this.#base : this.#before);
    slot.active = active;
  }

  /** What base and adapter make together. */
  async mergedValues(): Promise<HostWeight> {
    const { adapter, config } = this.slot.configured;
    const { site, state } = this.slot;
    if (adapter.merge === undefined) {
      throw new AdapterError('ADAPTER_UNSUPPORTED', `the adapter '${adapter.type}' cannot be merged into a weight`, {
        path: site.path,
      });
    }
    const values: HostState = {
      params: await readAll(state.params),
      buffers: await readAll(state.buffers),
      ...(state.base === undefined ? {} : { base: state.base }),
    };
    const merged = await adapter.merge(originalOf(this.#mergeSource()), values, config, site);
    return hostWeight(merged.shape, await merged.values());
  }

  async mergedWeight(): Promise<FrozenWeight> {
    const merged = await this.mergedValues();
    return new FrozenWeight(this.layer.weight.backend, {
      format: 'f32',
      shape: merged.shape,
      data: await merged.values(),
    });
  }

  /** Puts `weight`, this adapter merged, in the layer's place. */
  merge(weight: FrozenWeight): void {
    const { layer, slot } = this;
    this.#merged = { weight, under: layer.replaceWeight(weight), wasActive: slot.active };
    slot.active = false;
  }

  /** Throws unless this adapter's weight is the uppermost. */
  assertUppermost(action: string): void {
    const mine = this.#merged?.weight ?? this.#base;
    const covers = this.#merged !== undefined || (this.replacesBase && this.slot.active);
    if (covers && this.layer.weight !== mine) {
      throw new CoreError(
        'CORE_ARGUMENT',
        `${action}: another adapter was merged on ${this.slot.site.path} after '${this.slot.name}'; unmerge that one first`,
        { value: this.slot.name },
      );
    }
  }

  /** Brings back the weight from before `merge`, the very same one. */
  unmerge(): void {
    if (this.#merged === undefined) return;
    const { weight, under, wasActive } = this.#merged;
    this.layer.replaceWeight(under);
    weight.dispose();
    this.slot.active = wasActive;
    this.#merged = undefined;
  }

  /** Takes the adapter off, if it was attached, and frees what is its own. */
  eject(): void {
    this.unmerge();
    this.layer.detach(this.slot);
    if (this.replacesBase) {
      if (this.layer.weight === this.#base) this.layer.replaceWeight(this.#before);
      this.#base.dispose();
    }
    this.slot.dispose();
  }

  /** An adapter with a base of its own changes the weight from before it; the others, what is there now. */
  #mergeSource(): Weight {
    if (this.#merged !== undefined) return this.replacesBase ? this.#before : this.#merged.under;
    if (!this.replacesBase) return this.layer.weight;
    if (this.slot.active) this.assertUppermost('merge');
    else this.#assertOriginal('merge');
    return this.#before;
  }

  /** Throws unless the weight from before the adapter is in its place. */
  #assertOriginal(action: string): void {
    const { slot, layer } = this;
    if (layer.weight === this.#before) return;
    throw new CoreError(
      'CORE_ARGUMENT',
      `${action}: another adapter changed the weight of ${slot.site.path}, which '${slot.name}' replaces; unmerge or deactivate that one first`,
      { value: slot.name },
    );
  }
}

/** A layer's weight as adapters see it. */
export function originalOf(weight: Weight): HostWeight {
  const [rows, columns] = weight.shape;
  const shape = [rows, columns] as const;
  if (isFrozen(weight)) {
    const array = (): Promise<HostArray> => weight.host();
    return { shape, format: weight.format, values: async () => decodeArray(await array()), array };
  }
  return { shape, format: 'f32', values: async () => Float32Array.from(await weight.data()) };
}
