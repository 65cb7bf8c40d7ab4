import { Adaptable } from '../modules/adaptable.ts';
import { isFrozen } from '../modules/frozen-weight.ts';
import { ownerOf } from '../modules/weight-owner.ts';
import type { Module, Weight } from '../modules/module.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** Numbers of parameters; weights that are used twice (tied) count once. */
export interface ParameterCounts {
  readonly trainable: number;
  /** Base weights and adapters together. */
  readonly total: number;
}

export function parameterCounts(model: Module): ParameterCounts {
  let total = 0;
  let trainable = 0;
  const count = (weight: Weight): void => {
    const size = weight.shape.reduce((product, length) => product * length, 1);
    total += size;
    if (!isFrozen(weight) && weight.requiresGrad) trainable += size;
  };
  const weights = new Set<Weight>();
  for (const [, weight] of model.allWeights()) weights.add(weight);
  for (const [, param] of adapterParameters(model)) weights.add(param);
  weights.forEach(count);
  return { trainable, total };
}

/** Every trainable tensor by path: the model's own, then its adapters'. Tied ones come under their first path. */
export function trainableParameters(model: Module): Map<string, Tensor> {
  const found = new Map<Tensor, string>();
  for (const [path, weight] of model.allWeights()) {
    if (!isFrozen(weight) && weight.requiresGrad && !found.has(weight)) found.set(weight, path);
  }
  for (const [path, param] of adapterParameters(model)) if (param.requiresGrad) found.set(param, path);
  return new Map(Array.from(found, ([param, path]) => [path, param]));
}

/** Stops training of all of the model's own weights; adapters stay trainable. */
export function freeze(model: Module): void {
  for (const [, weight] of model.allWeights()) {
    if (!isFrozen(weight) && ownerOf(weight) === undefined) weight.requiresGrad = false;
  }
}

function* adapterParameters(model: Module): Generator<readonly [string, Tensor]> {
  for (const [path, layer] of model.modules()) {
    if (!(layer instanceof Adaptable)) continue;
    for (const slot of layer.slots) {
      const prefix = layer.slots.length > 1 ? `${slot.name}:` : '';
      for (const [name, param] of Object.entries(slot.state.params)) {
        yield [`${prefix}${path === '' ? '' : `${path}.`}${name}`, param];
      }
    }
  }
}
