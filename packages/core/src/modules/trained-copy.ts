import type { AdapterConfig, Site } from '../adapter/adapter.ts';
import { matchesModuleOrParent } from '../adapter/targets.ts';
import { decodeArray } from '../blocks/index.ts';
import { CoreError } from '../errors/core-error.ts';
import { keep } from '../tensor/scope.ts';
import { tensor, type Tensor } from '../tensor/tensor.ts';
import { Adaptable } from './adaptable.ts';
import { isFrozen } from './frozen-weight.ts';
import type { Module, Weight } from './module.ts';
import { requireFree, setOwner } from './weight-owner.ts';

/** A weight of the model that is to be copied, under its name in one module. */
interface Original {
  readonly module: Module;
  readonly path: string;
  readonly name: string;
  readonly weight: Weight;
}

/** The first use of a weight, and others that go on sharing it. */
interface Copied extends Original {
  readonly ties: readonly Original[];
}

/**
 * A trained f32 copy of one of the model's weights, which takes its place while its adapter is on (PEFT's `modules_to_save`
 * and `bias`). The original stays as it is, and comes back the very same.
 */
export class TrainedCopy {
  /** The module's path: `lm_head`. */
  readonly path: string;
  /** `'weight'` or `'bias'`. */
  readonly name: string;
  readonly tensor: Tensor;
  readonly #places: readonly Original[];
  readonly #adapter: string;
  #before: readonly Weight[] | undefined;

  constructor(original: Copied, copy: Tensor, adapter: string) {
    this.path = original.path;
    this.name = original.name;
    this.tensor = copy;
    this.#places = [original, ...original.ties];
    this.#adapter = adapter;
    setOwner(copy, adapter);
  }

  /** @throws CoreError CORE_ARGUMENT when another adapter has replaced the weight. */
  requireFree(): void {
    if (this.#before !== undefined) return;
    for (const { module, path, name } of this.#places) {
      requireFree(module.weightNamed(name), `${path}.${name}`, this.#adapter);
    }
  }

  activate(): void {
    this.#before ??= this.#places.map(({ module, name }) => module.replace(name, this.tensor));
  }

  deactivate(): void {
    if (this.#before === undefined) return;
    for (const [i, { module, name }] of this.#places.entries()) module.replace(name, this.#before[i]!);
    this.#before = undefined;
  }

  dispose(): void {
    this.deactivate();
    this.tensor.dispose();
  }
}

/**
 * Copies of the weights that a configuration trains beside the adapter, not yet in place.
 * @param targets where the adapter sits.
 * @throws CoreError CORE_NO_TARGET for a module to save that is not there, CORE_ARGUMENT where another adapter has replaced it.
 */
export async function copiesToTrain(
  model: Module,
  config: AdapterConfig,
  targets: readonly Site[],
  adapter: string,
): Promise<TrainedCopy[]> {
  const originals = [...wholeModules(model, config.modulesToSave ?? []), ...biases(model, config, targets)];
  for (const { path, name, weight } of originals) requireFree(weight, `${path}.${name}`, adapter);
  const copied = config.keepTies === true ? tied(model, originals) : originals.map((one) => ({ ...one, ties: [] }));
  const copies: TrainedCopy[] = [];
  try {
    for (const original of copied) copies.push(new TrainedCopy(original, await copyOf(original.weight), adapter));
  } catch (error) {
    for (const copy of copies) copy.dispose();
    throw error;
  }
  return copies;
}

/** Each weight once, with its other uses anywhere in the model. */
function tied(model: Module, originals: readonly Original[]): Copied[] {
  const found = new Map<Weight, Copied>();
  for (const original of originals) {
    if (found.has(original.weight)) continue;
    const ties: Original[] = [];
    for (const [path, module] of model.modules()) {
      for (const [name, weight] of module.weights()) {
        if (weight === original.weight && module !== original.module) ties.push({ module, path, name, weight });
      }
    }
    found.set(original.weight, { ...original, ties });
  }
  return [...found.values()];
}

function wholeModules(model: Module, names: readonly string[]): Original[] {
  const found: Original[] = [];
  for (const [path, module] of model.modules()) {
    if (!matchesModuleOrParent(path, names)) continue;
    for (const [name, weight] of module.weights()) found.push({ module, path, name, weight });
  }
  const missing = names.find((name) => !found.some(({ path }) => matchesModuleOrParent(path, [name])));
  if (missing !== undefined) {
    throw new CoreError('CORE_NO_TARGET', `modules to save: nothing with weights in this model is named ${missing}`, {
      value: missing,
    });
  }
  return found;
}

function biases(
  model: Module,
  { bias = 'none', modulesToSave = [] }: AdapterConfig,
  targets: readonly Site[],
): Original[] {
  if (bias === 'none') return [];
  const sites = new Set(targets.map(({ path }) => path));
  const found: Original[] = [];
  for (const [path, module] of model.modules()) {
    if (!(module instanceof Adaptable) || module.bias === undefined) continue;
    if (matchesModuleOrParent(path, modulesToSave) || (bias === 'lora_only' && !sites.has(path))) continue;
    found.push({ module, path, name: 'bias', weight: module.bias });
  }
  return found;
}

async function copyOf(weight: Weight): Promise<Tensor> {
  const values = isFrozen(weight) ? decodeArray(await weight.host()) : await weight.data();
  const copy = keep(tensor(weight.backend, values, weight.shape));
  copy.requiresGrad = true;
  return copy;
}
