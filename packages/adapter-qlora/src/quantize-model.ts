import {
  Adaptable,
  AdapterError,
  decodeArray,
  FrozenWeight,
  isFourBitFormat,
  selectTargets,
  type Module,
  type Site,
  type Weight,
} from '@lowrank/core';
import { parseQuantization, type QuantizationOptions } from './config.ts';
import { quantized } from './four-bit-base.ts';

export interface QuantizeModelOptions extends QuantizationOptions {
  /** Which modules: names or ends of names, a regular expression, or the default `'all-linear'`: every linear layer but the output head. */
  readonly targetModules?: readonly string[] | string | undefined;
  /** Left out even when targeted. Default none. */
  readonly excludeModules?: readonly string[] | string | undefined;
}

/** What became of a model. */
export interface QuantizedModel {
  /** Paths of the layers that are now in 4 bits. */
  readonly paths: readonly string[];
  /** Weights in them. */
  readonly weights: number;
  /** Bytes that they take. */
  readonly bytes: number;
}

/**
 * Turns a model's weights to 4 bits for good: layer by layer, each original freed before the next is touched, so that no more
 * than one layer is ever in memory twice. Any adapter on the model is then QLoRA, and nothing is kept to go back to.
 * @throws AdapterError ADAPTER_CONFIG; ADAPTER_SITE for a layer with a trainable weight, with an adapter on it, or with a weight
 * that is not finite. Layers before it are quantized then.
 */
export async function quantizeModel(model: Module, options: QuantizeModelOptions = {}): Promise<QuantizedModel> {
  const { targetModules = 'all-linear', excludeModules = [], ...rest } = options;
  const how = parseQuantization(rest);
  const layers = selectTargets(layersOf(model), { targetModules, excludeModules });
  for (const { layer, path } of layers) checkFree(layer, path);
  const made = new Map<Weight, FrozenWeight>();
  let bytes = 0;
  for (const { layer, path } of layers) {
    const before = layer.weight as FrozenWeight;
    if (isFourBitFormat(before.format)) continue;
    const known = made.get(before);
    if (known !== undefined) {
      layer.replaceWeight(known);
      if (!isUsed(model, before)) before.dispose();
      continue;
    }
    const array = quantized(decodeArray(await before.host()), before.shape, how, path);
    if (!isUsed(model, before, layer)) before.dispose();
    const after = new FrozenWeight(before.backend, array);
    layer.replaceWeight(after);
    made.set(before, after);
    bytes += array.data.byteLength;
  }
  const weights = [...made.values()].reduce((sum, { shape: [rows, columns] }) => sum + rows * columns, 0);
  return { paths: layers.map(({ path }) => path), weights, bytes };
}

type Place = Site & { readonly layer: Adaptable };

function layersOf(model: Module): Place[] {
  const places: Place[] = [];
  for (const [path, layer] of model.modules()) {
    if (!(layer instanceof Adaptable)) continue;
    const { kind, inFeatures, outFeatures } = layer;
    places.push({ kind, path: path === '' ? kind : path, inFeatures, outFeatures, layer });
  }
  return places;
}

function checkFree(layer: Adaptable, path: string): void {
  const problem = !(layer.weight instanceof FrozenWeight)
    ? 'its weight is trainable'
    : layer.slots.length > 0
      ? 'an adapter is on it'
      : undefined;
  if (problem === undefined) return;
  throw new AdapterError('ADAPTER_SITE', `qlora: ${path} cannot be quantized, for ${problem}`, { path });
}

/** Whether a weight is in use, `except` in one layer: tied weights are. */
function isUsed(model: Module, weight: Weight, except?: Adaptable): boolean {
  for (const [, module] of model.modules()) {
    if (module === except) continue;
    for (const [, other] of module.weights()) if (other === weight) return true;
  }
  return false;
}
