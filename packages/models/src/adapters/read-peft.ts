import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  decodeArray,
  lowRankAt,
  selectTargets,
  type Adapter,
  type AdapterConfig,
  type HostArray,
  type HostState,
  type LowRankConfig,
  type Site,
} from '@lowrank/core';
import { fileSource, openSafetensors, type SafetensorsFile } from '@lowrank/io-safetensors';
import { messageOf } from '../message-of.ts';
import { ModelsError } from '../models-error.ts';
import { sitesOf, type Base } from './base.ts';
import { sitesWith, type HostAdapter } from './host-adapter.ts';
import { readPeftConfig } from './peft-config.ts';
import { canonicalKey, isBaseCopy, peftKeys, peftPrefix, type PeftForm } from './peft-keys.ts';
import { isSavedByPeft, moduleOf, savedModuleShape } from './saved-modules.ts';

export const peftConfigFile = 'adapter_config.json';
export const peftWeightsFile = 'adapter_model.safetensors';

/**
 * Reads a PEFT folder. Other than PEFT, which warns at most, it is strict: every tensor belongs to a module that the
 * configuration asks for, each of those has all its tensors, and their shapes are the rank's and the base's.
 * @param adapters the plugins to choose from, by `peft_type`.
 * @throws ModelsError MODELS_ADAPTER that names file and tensor; SafetensorsError when the weights are damaged.
 */
export async function readPeftFolder(folder: string, base: Base, adapters: readonly Adapter[]): Promise<HostAdapter> {
  await checkFolder(folder);
  const configPath = join(folder, peftConfigFile);
  const { adapter, form, config } = await readPeftConfig(configPath, adapters);
  await using file = await openSafetensors(await fileSource(join(folder, peftWeightsFile)));
  const sites = sitesOf(base);
  const found = sortKeys(file, form, sites, base, config);
  checkTargets(file, configPath, form, sites, config, found);
  checkShapes(file, found.params, form, config);
  const states = new Map<string, HostState>();
  for (const [path, { keys }] of found.params) {
    const params: Record<string, HostArray> = {};
    for (const [param, key] of Object.entries(keys)) params[param] = await readF32(file, key);
    states.set(path, { params, buffers: {} });
  }
  const modules = new Map<string, HostArray>();
  for (const [name, key] of found.modules) modules.set(name, await readF32(file, key));
  // By their whole paths, for PEFT goes by ends of names: `norm` means a layer's norms, too.
  const saved = Array.from(modules.keys(), (name) => moduleOf(name)!.path);
  const wholePaths = [...new Set(saved)].filter((path) => isSavedByPeft(path, config.modulesToSave ?? []));
  const resolved = config.modulesToSave === undefined ? config : { ...config, modulesToSave: wholePaths };
  return { adapter, config: resolved, states, modules, rowOrder: 'hf' };
}

async function checkFolder(folder: string): Promise<void> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new ModelsError('MODELS_ADAPTER', `${folder} cannot be read: ${messageOf(cause)}`, { value: folder, cause });
  });
  if (names.includes(peftConfigFile) && names.includes(peftWeightsFile)) return;
  const fail = (why: string): never => {
    throw new ModelsError('MODELS_ADAPTER', `${folder} is not a whole PEFT adapter: ${why}`, { value: folder });
  };
  if (names.includes('adapter_model.bin') && !names.includes(peftWeightsFile)) {
    fail('its weights are a pickle, which is not read; save it again with safe_serialization=True');
  }
  const inner: string[] = [];
  for (const name of names) {
    if ((await stat(join(folder, name, peftConfigFile)).catch(() => undefined))?.isFile()) inner.push(name);
  }
  if (inner.length > 0) fail(`its adapters lie in folders below it; give one of them: ${inner.join(', ')}`);
  fail(`${names.includes(peftConfigFile) ? peftWeightsFile : peftConfigFile} is missing`);
}

interface FoundKeys {
  /** By site path: the site, and the file's name of each parameter's tensor. */
  readonly params: ReadonlyMap<string, { readonly site: Site; readonly keys: Readonly<Record<string, string>> }>;
  /** Tensors trained whole: our name to the file's. */
  readonly modules: ReadonlyMap<string, string>;
}

/** Finds the place of every tensor. */
function sortKeys(
  file: SafetensorsFile,
  form: PeftForm,
  sites: readonly Site[],
  base: Base,
  config: AdapterConfig,
): FoundKeys {
  const known = peftKeys(form, sites);
  const params = new Map<string, { site: Site; keys: Record<string, string> }>();
  const modules = new Map<string, string>();
  for (const key of file.tensors.keys()) {
    if (isBaseCopy(key)) continue;
    const place = known.get(canonicalKey(key));
    if (place !== undefined) {
      const { site, param } = place;
      const entry = params.get(site.path) ?? { site, keys: {} };
      if (entry.keys[param] !== undefined) throw wrong(file, key, `is there twice, as ${entry.keys[param]} too`);
      entry.keys[param] = key;
      params.set(site.path, entry);
      continue;
    }
    const name = key.startsWith(peftPrefix) ? key.slice(peftPrefix.length).replace('.base_layer.', '.') : key;
    const shape = savedModuleShape(base, name, config);
    if (shape === undefined) throw wrong(file, key, strayReason(base));
    expectShape(file, key, shape);
    modules.set(name, key);
  }
  return { params, modules };
}

function strayReason({ config }: Base): string {
  return `belongs to no module that this ${config.architecture.name} model of ${config.layers} layers has and the configuration asks for; give the model that it was trained on`;
}

/** The modules with tensors must be those that the configuration asks for, and each must have all of them. */
function checkTargets(
  file: SafetensorsFile,
  configPath: string,
  form: PeftForm,
  sites: readonly Site[],
  config: AdapterConfig,
  { params, modules: saved }: FoundKeys,
): void {
  const modules = [...saved.keys()];
  let asked: readonly Site[];
  try {
    asked = selectTargets(sites, config);
  } catch (cause) {
    throw new ModelsError('MODELS_ADAPTER', `${configPath}: ${messageOf(cause)}`, {
      value: config.targetModules,
      cause,
    });
  }
  for (const site of asked) {
    const keys = params.get(site.path)?.keys ?? {};
    const missing = Object.entries(form.tensorNames(site)).find(([param]) => keys[param] === undefined);
    if (missing !== undefined) {
      throw wrong(
        file,
        `${peftPrefix}${site.path}.${missing[1]}`,
        `is missing, though ${configPath} asks for ${site.path}; the adapter is not whole`,
      );
    }
  }
  const unsaved = (config.modulesToSave ?? []).find(
    (name) => !modules.some((module) => isSavedByPeft(moduleOf(module)!.path, [name])),
  );
  if (unsaved !== undefined) {
    throw wrong(file, `${peftPrefix}${unsaved}.weight`, `is missing, though ${configPath} has it in modules_to_save`);
  }
  const extra = sitesWith(params, sites).find((site) => !asked.includes(site));
  if (extra !== undefined) {
    const [key] = Object.values(params.get(extra.path)!.keys);
    throw wrong(file, key!, `is there, though the target modules in ${configPath} leave ${extra.path} out`);
  }
}

/** LoRA's shapes are known before anything is read; those of other adapters are checked when they are put on a model. */
function checkShapes(file: SafetensorsFile, params: FoundKeys['params'], form: PeftForm, config: AdapterConfig): void {
  if (form.peftType !== 'LORA') return;
  for (const { site, keys } of params.values()) {
    const { rank } = lowRankAt(config as LowRankConfig, site.path);
    const shapes: Readonly<Record<string, readonly number[]>> = {
      A: [rank, site.inFeatures],
      B: [site.outFeatures, rank],
      magnitude: [site.outFeatures],
    };
    for (const [param, key] of Object.entries(keys)) {
      const shape = shapes[param];
      if (shape !== undefined) expectShape(file, key, shape);
    }
  }
}

function expectShape(file: SafetensorsFile, key: string, shape: readonly number[]): void {
  const found = file.tensors.get(key)!.shape;
  // Some versions keep magnitudes as [out, 1].
  const bare = shape.length === 1 && found.at(-1) === 1 ? found.slice(0, -1) : found;
  if (bare.join() === shape.join()) return;
  throw wrong(
    file,
    key,
    `has shape [${found.join(', ')}]; the rank in the configuration and the base model ask for [${shape.join(', ')}]`,
  );
}

async function readF32(file: SafetensorsFile, key: string): Promise<HostArray> {
  const array = await file.read(key);
  return { format: 'f32', shape: flat(key, array.shape), data: decodeArray(array) };
}

function flat(key: string, shape: readonly number[]): readonly number[] {
  return canonicalKey(key).endsWith('.lora_magnitude_vector') ? shape.slice(0, 1) : shape;
}

function wrong(file: SafetensorsFile, key: string, why: string): ModelsError {
  return new ModelsError('MODELS_ADAPTER', `${file.name}: the tensor ${key} ${why}`, { value: key });
}
