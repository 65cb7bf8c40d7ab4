import {
  AdapterError,
  adapterSites,
  inject,
  type Adapter,
  type AdapterConfig,
  type HostState,
  type InjectedAdapter,
  type Site,
} from '@lowrank/core';
import { fileSource, openGguf, readLoraGguf, writeLoraGguf, type LoraPair } from '@lowrank/io-gguf';
import { ggufName, modulePath } from '../architectures/names.ts';
import type { CausalLm } from '../causal-lm/causal-lm.ts';
import { ModelsError } from '../models-error.ts';

/**
 * Writes an adapter as a llama.cpp LoRA GGUF, atomically; resolves to its size in bytes. The file has one alpha: what
 * other sites scale differently is folded into their B.
 * @throws AdapterError ADAPTER_UNSUPPORTED for an adapter without a form in that file; ModelsError MODELS_ADAPTER where
 * llama.cpp would fail on it.
 */
export async function writeAdapterGguf(path: string, model: CausalLm, injected: InjectedAdapter): Promise<number> {
  return writeLoraGguf(path, {
    architecture: model.config.architecture.name,
    ...(await adapterPairs(model, injected)),
  });
}

/** @throws as `writeAdapterGguf`, before a run is spent on an adapter that cannot be written. */
export function checkExportable(model: CausalLm, injected: InjectedAdapter): void {
  const { adapter } = injected.configured;
  if ('unsupported' in adapter.files.gguf) {
    throw new AdapterError(
      'ADAPTER_UNSUPPORTED',
      `a llama.cpp adapter file cannot hold '${adapter.type}': ${adapter.files.gguf.unsupported}; merge it into the model instead`,
    );
  }
  const embedded = injected.sites.find((site) => site.kind === 'embedding' || (model.tied && site.path === 'lm_head'));
  if (embedded !== undefined && model.tied) {
    throw new ModelsError(
      'MODELS_ADAPTER',
      `llama.cpp cannot load an adapter on ${embedded.path} of a model whose output head is its embedding table; leave it out of the target modules, or merge the adapter into a model of its own`,
      { value: embedded.path },
    );
  }
}

async function adapterPairs(
  model: CausalLm,
  injected: InjectedAdapter,
): Promise<{ alpha: number; tensors: LoraPair[] }> {
  checkExportable(model, injected);
  const { adapter, config } = injected.configured;
  const form = adapter.files.gguf;
  if ('unsupported' in form) throw new AdapterError('ADAPTER_UNSUPPORTED', form.unsupported);
  const states = await injected.hostStates();
  const pairs = injected.sites.map((site) => ({ site, pair: form.toPair(states.get(site.path)!, config, site) }));
  const alpha = pairs[0]?.pair.alpha ?? 1;
  const tensors = pairs.map(({ site, pair }) => ({
    base: tensorName(model, site),
    a: pair.a,
    b: pair.alpha === alpha ? pair.b : scaled(pair.b, pair.alpha / alpha),
  }));
  return { alpha, tensors };
}

function scaled(array: LoraPair['b'], factor: number): LoraPair['b'] {
  return { ...array, format: 'f32', data: Float32Array.from(array.data as Float32Array, (value) => value * factor) };
}

function tensorName(model: CausalLm, site: Site): string {
  return `${ggufName(model.config.architecture, site.path)}.weight`;
}

export interface LoadAdapterOptions {
  readonly name?: string;
}

/**
 * Puts an adapter from a llama.cpp LoRA GGUF on a model.
 * @param adapter the plugin that reads such a file.
 * @throws ModelsError MODELS_ADAPTER when it belongs to another model; GgufError when the file is damaged. The model is
 * unchanged then.
 */
export async function loadAdapterGguf(
  path: string,
  model: CausalLm,
  adapter: Adapter,
  options: LoadAdapterOptions = {},
): Promise<InjectedAdapter> {
  await using file = await openGguf(await fileSource(path));
  const lora = await readLoraGguf(file);
  const expected = model.config.architecture.name;
  if (lora.architecture !== expected) {
    throw new ModelsError(
      'MODELS_ADAPTER',
      `${path} is an adapter for the architecture '${lora.architecture}', the model is '${expected}'`,
      { value: lora.architecture },
    );
  }
  const form = adapter.files.gguf;
  if ('unsupported' in form) {
    throw new AdapterError(
      'ADAPTER_UNSUPPORTED',
      `'${adapter.type}' has no form in a GGUF adapter: ${form.unsupported}`,
    );
  }
  const sites = new Map(adapterSites(model).map((site) => [site.path, site]));
  const states = new Map<string, HostState>();
  let config: AdapterConfig | undefined;
  for (const { base, a, b } of lora.tensors) {
    const site = siteOf(path, base, model, sites);
    checkPairShape(path, base, site, a.shape, b.shape);
    const read = form.fromPair({ alpha: lora.alpha, a, b }, site);
    const own = { ...read.config, targetModules: [], excludeModules: [] };
    if (config !== undefined && JSON.stringify(config) !== JSON.stringify(own)) {
      throw new ModelsError(
        'MODELS_ADAPTER',
        `${path}: ${base} has another rank or scale than the tensors before it; one configuration for all is supported`,
        { value: base },
      );
    }
    config = own;
    states.set(site.path, read.state);
  }
  const targets = { ...config!, targetModules: [...states.keys()] };
  const injected = await inject(model, { adapter, config: targets }, options);
  try {
    injected.load(states);
  } catch (error) {
    injected.eject();
    throw error;
  }
  return injected;
}

function siteOf(path: string, base: string, model: CausalLm, sites: ReadonlyMap<string, Site>): Site {
  const module = base.endsWith('.weight')
    ? modulePath(model.config.architecture, base.slice(0, -'.weight'.length))
    : undefined;
  const site = module === undefined ? undefined : sites.get(module);
  if (site === undefined) {
    throw new ModelsError(
      'MODELS_ADAPTER',
      `${path} adapts ${base}, which this model of ${model.config.layers} layers does not have; give the model it was trained on`,
      { value: base },
    );
  }
  return site;
}

function checkPairShape(path: string, base: string, site: Site, a: readonly number[], b: readonly number[]): void {
  const [rows, columns] = site.kind === 'embedding' ? [b[0], a[0]] : [b[0], a[1]];
  if (rows !== site.outFeatures || columns !== site.inFeatures) {
    throw new ModelsError(
      'MODELS_ADAPTER',
      `${path}: ${base} is for a weight [${rows}, ${columns}], the model's is [${site.outFeatures}, ${site.inFeatures}]; give the model it was trained on`,
      { value: [a, b] },
    );
  }
}
