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

/** A weight of the model that is to be copied. */
interface Original {
  readonly module: Module;
  readonly path: string;
  readonly name: string;
  readonly weight: Weight;
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
  readonly #module: Module;
  readonly #adapter: string;
  #before: Weight | undefined;

  constructor({ module, path, name }: Original, copy: Tensor, adapter: string) {
    this.path = path;
    this.name = name;
    this.tensor = copy;
    this.#module = module;
    this.#adapter = adapter;
    setOwner(copy, adapter);
  }

  /** @throws CoreError CORE_ARGUMENT when another adapter has replaced the weight. */
  requireFree(): void {
    if (this.#before === undefined) {
      requireFree(this.#module.weightNamed(this.name), `${this.path}.${this.name}`, this.#adapter);
    }
  }

  activate(): void {
    this.#before ??= this.#module.replace(this.name, this.tensor);
  }

  deactivate(): void {
    if (this.#before === undefined) return;
    this.#module.replace(this.name, this.#before);
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
  const copies: TrainedCopy[] = [];
  try {
    for (const original of originals) copies.push(new TrainedCopy(original, await copyOf(original.weight), adapter));
  } catch (error) {
    for (const copy of copies) copy.dispose();
    throw error;
  }
  return copies;
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
