import { CoreError } from '../errors/core-error.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { AdapterRows } from './adapter-rows.ts';
import type { FrozenWeight } from './frozen-weight.ts';

/** A weight: frozen, or a tensor that may be trained. */
export type Weight = FrozenWeight | Tensor;

/** How a forward pass is run. Masks and nothing else depend on `seed` and `step`. */
export interface ForwardPass {
  readonly training: boolean;
  readonly seed: number;
  /** Number of the micro-batch, counted over the whole run. */
  readonly step: number;
  /** Different adapters for different rows: see `adapterRows`. Absent: all rows go through all active ones. */
  readonly adapterRows?: AdapterRows;
}

/** A pass that trains nothing. */
export const inference: ForwardPass = { training: false, seed: 0, step: 0 };

/** A part of a model, with parts of its own under names that make up paths. */
export abstract class Module {
  readonly #children = new Map<string, Module>();

  /** Registers a part under a name; returns it. */
  protected child<T extends Module>(name: string, module: T): T {
    this.#children.set(name, module);
    return module;
  }

  /** The weights of this part alone, by name. */
  weights(): Iterable<readonly [string, Weight]> {
    return [];
  }

  /**
   * Uses another weight from now on, under a name that `weights` gives; the one before is the caller's to keep or free.
   * @throws CoreError CORE_ARGUMENT for a name that is not there, or a kind of weight that this part cannot work with.
   */
  replace(name: string, weight: Weight): Weight {
    throw new CoreError('CORE_ARGUMENT', `a ${this.constructor.name} has no weight '${name}' that can be replaced`, {
      value: [name, weight.shape],
    });
  }

  /** The weight of this part alone under a name. */
  weightNamed(name: string): Weight {
    for (const [own, weight] of this.weights()) if (own === name) return weight;
    throw new CoreError('CORE_ARGUMENT', `a ${this.constructor.name} has no weight '${name}'`, { value: name });
  }

  /** The tensors of this part alone that a gradient flows to, adapters' included. */
  trainable(): Iterable<Tensor> {
    return [];
  }

  /** Every part below, and this one under the empty path. A path is names joined by dots. */
  *modules(prefix = ''): Generator<readonly [string, Module]> {
    yield [prefix, this];
    for (const [name, module] of this.#children) {
      yield* module.modules(prefix === '' ? name : `${prefix}.${name}`);
    }
  }

  /** Every weight of this part and those below, by path; adapters' tensors not included. */
  *allWeights(): Generator<readonly [string, Weight]> {
    for (const [path, module] of this.modules()) {
      for (const [name, weight] of module.weights()) yield [path === '' ? name : `${path}.${name}`, weight];
    }
  }

  /** Frees all weights. */
  dispose(): void {
    for (const [, weight] of this.allWeights()) weight.dispose();
  }
}

/** Parts by number: `layers.0`, `layers.1`. */
export class ModuleList<T extends Module> extends Module {
  readonly items: readonly T[];

  constructor(items: readonly T[]) {
    super();
    this.items = items;
    items.forEach((item, i) => this.child(String(i), item));
  }
}
