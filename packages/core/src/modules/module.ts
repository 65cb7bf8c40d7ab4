import type { Tensor } from '../tensor/tensor.ts';
import type { FrozenWeight } from './frozen-weight.ts';

/** A weight: frozen, or a tensor that may be trained. */
export type Weight = FrozenWeight | Tensor;

/** How a forward pass is run. Masks and nothing else depend on `seed` and `step`. */
export interface ForwardPass {
  readonly training: boolean;
  readonly seed: number;
  /** Number of the micro-batch, counted over the whole run. */
  readonly step: number;
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
