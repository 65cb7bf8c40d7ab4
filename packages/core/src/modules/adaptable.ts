import type { FrozenLayer, Site } from '../adapter/adapter.ts';
import { add } from '../ops/binary.ts';
import { scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { AdapterSlot } from './adapter-slot.ts';
import { isFrozen } from './frozen-weight.ts';
import { mixedDeltas } from './mixed-deltas.ts';
import { Module, type ForwardPass, type Weight } from './module.ts';

/** A layer with one weight that adapters can sit on. */
export abstract class Adaptable extends Module {
  abstract readonly kind: Site['kind'];
  #weight: Weight;
  #slots: readonly AdapterSlot[] = [];

  constructor(weight: Weight) {
    super();
    this.#weight = weight;
  }

  abstract get inFeatures(): number;
  abstract get outFeatures(): number;
  abstract get bias(): Tensor | undefined;
  /** x times the weight, without bias. */
  abstract product(x: Tensor): Tensor;

  get weight(): Weight {
    return this.#weight;
  }

  /** Uses another weight from now on; the one before is the caller's to keep or free. */
  replaceWeight(weight: Weight): Weight {
    const before = this.#weight;
    this.#weight = weight;
    return before;
  }

  override replace(name: string, weight: Weight): Weight {
    return name === 'weight' ? this.replaceWeight(weight) : super.replace(name, weight);
  }

  get slots(): readonly AdapterSlot[] {
    return this.#slots;
  }

  attach(slot: AdapterSlot): void {
    this.#slots = [...this.#slots, slot];
  }

  detach(slot: AdapterSlot): void {
    this.#slots = this.#slots.filter((other) => other !== slot);
  }

  /** What the active adapters make of y0 = base(x), which is taken over. */
  protected adapted(x: Tensor, y0: Tensor, pass: ForwardPass): Tensor {
    const slots = this.#slots.filter((slot) => slot.active);
    if (slots.length === 0) return y0;
    const delta = (slot: AdapterSlot, rows: Tensor, base: Tensor): Tensor =>
      slot.delta(rows, base, this.#layerOf(slot), pass);
    if (pass.adapterRows !== undefined) return mixedDeltas(x, y0, slots, pass.adapterRows, delta);
    const [first, ...others] = slots;
    if (others.length === 0) return scope(() => first!.output(x, y0, this.#layerOf(first!), pass));
    return scope(() => slots.reduce((y, slot) => add(y, delta(slot, x, y0)), y0));
  }

  #layerOf({ site, standsOn }: AdapterSlot): FrozenLayer {
    return { ...this.frozenLayer(site), changed: standsOn !== undefined && standsOn !== this.#weight };
  }

  /** This layer as an adapter at `site` sees it. */
  frozenLayer(site: Site): FrozenLayer {
    return { ...site, bias: this.bias, product: (x) => this.product(x) };
  }

  override *trainable(): Generator<Tensor> {
    for (const [, weight] of this.weights()) {
      if (!isFrozen(weight) && weight.requiresGrad) yield weight;
    }
    for (const slot of this.#slots) {
      if (slot.active) yield* Object.values(slot.state.params);
    }
  }

  override *weights(): Generator<readonly [string, Weight]> {
    yield ['weight', this.#weight];
    if (this.bias !== undefined) yield ['bias', this.bias];
  }
}
