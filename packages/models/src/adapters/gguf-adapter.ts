import {
  AdapterError,
  type Adapter,
  type AdapterConfig,
  type GgufPair,
  type HostArray,
  type HostState,
  type Site,
} from '@lowrank/core';
import { fileSource, openGguf, readLoraGguf, writeLoraGguf, type GgufFile, type LoraPair } from '@lowrank/io-gguf';
import { ggufName, modulePath } from '../architectures/names.ts';
import type { CausalLmConfig } from '../causal-lm/config.ts';
import { ModelsError } from '../models-error.ts';
import { sitesOf, type Base } from './base.ts';
import { sitesWith, type HostAdapter } from './host-adapter.ts';
import { hasOwnOrder, reorderRows } from './row-order.ts';

/**
 * Writes an adapter as a llama.cpp LoRA GGUF, atomically; resolves to its size in bytes. The file has one alpha: what
 * other sites scale differently is folded into their B.
 * @throws AdapterError ADAPTER_UNSUPPORTED for an adapter without a form in that file; ModelsError MODELS_ADAPTER where
 * llama.cpp would fail on it.
 */
export async function writeGgufAdapter(path: string, base: Base, source: HostAdapter): Promise<number> {
  const sites = sitesOf(base);
  const { adapter, config, states, rowOrder } = source;
  const own = sitesWith(states, sites);
  checkGgufForm(base, adapter, own, [...source.modules.keys()]);
  const form = ggufForm(adapter);
  const turned = (b: HostArray, { path: at }: Site): HostArray =>
    rowOrder !== 'gguf' && hasOwnOrder(base.config, at) ? reorderRows(b, base.config.headSize, 'gguf') : b;
  const pairs = own.map((site) => {
    const pair = form.toPair(states.get(site.path)!, config, site);
    return { site, pair: { ...pair, b: turned(pair.b, site) } };
  });
  const alpha = pairs[0]?.pair.alpha ?? 1;
  return writeLoraGguf(path, {
    architecture: base.config.architecture.name,
    alpha,
    tensors: pairs.map(({ site, pair }) => ({
      base: tensorName(base.config, site),
      a: pair.a,
      b: pair.alpha === alpha ? pair.b : scaled(pair.b, pair.alpha / alpha),
    })),
  });
}

/**
 * @param modules what was trained whole beside it.
 * @throws as `writeGgufAdapter`, before work is spent on an adapter that cannot be written.
 */
export function checkGgufForm(
  base: Pick<Base, 'tied'>,
  adapter: Adapter,
  sites: readonly Site[],
  modules: readonly string[] = [],
): void {
  if ('unsupported' in adapter.files.gguf) {
    throw new AdapterError(
      'ADAPTER_UNSUPPORTED',
      `a llama.cpp adapter file cannot hold '${adapter.type}': ${adapter.files.gguf.unsupported}; merge it into the model instead`,
    );
  }
  if (modules.length > 0) {
    throw new ModelsError(
      'MODELS_ADAPTER',
      `a llama.cpp adapter file cannot hold modules that were trained whole (${modules[0]}); write a PEFT folder, or merge the adapter into the model`,
      { value: modules },
    );
  }
  const embedded = sites.find((site) => site.kind === 'embedding' || (base.tied && site.path === 'lm_head'));
  if (embedded !== undefined && base.tied) {
    throw new ModelsError(
      'MODELS_ADAPTER',
      `llama.cpp cannot load an adapter on ${embedded.path} of a model whose output head is its embedding table; leave it out of the target modules, or merge the adapter into a model of its own`,
      { value: embedded.path },
    );
  }
}

function ggufForm(adapter: Adapter): Exclude<Adapter['files']['gguf'], { unsupported: string }> {
  const form = adapter.files.gguf;
  if (!('unsupported' in form)) return form;
  throw new AdapterError('ADAPTER_UNSUPPORTED', `'${adapter.type}' has no form in a GGUF adapter: ${form.unsupported}`);
}

function scaled(array: LoraPair['b'], factor: number): LoraPair['b'] {
  return { ...array, format: 'f32', data: Float32Array.from(array.data as Float32Array, (value) => value * factor) };
}

function tensorName({ architecture }: CausalLmConfig, site: Site): string {
  return `${ggufName(architecture, site.path)}.weight`;
}

/**
 * Reads a llama.cpp LoRA GGUF.
 * @param adapter the plugin that reads such a file.
 * @throws ModelsError MODELS_ADAPTER when it belongs to another model; GgufError when the file is damaged.
 */
export async function readGgufAdapter(path: string, base: Base, adapter: Adapter): Promise<HostAdapter> {
  await using file = await openGguf(await fileSource(path));
  // Awaited, for the file is closed on the way out.
  return await fromLoraGguf(path, file, base, adapter);
}

/** The same of a file that is open. */
export async function fromLoraGguf(path: string, file: GgufFile, base: Base, adapter: Adapter): Promise<HostAdapter> {
  const lora = await readLoraGguf(file);
  const expected = base.config.architecture.name;
  if (lora.architecture !== expected) {
    throw new ModelsError(
      'MODELS_ADAPTER',
      `${path} is an adapter for the architecture '${lora.architecture}', the model is '${expected}'`,
      { value: lora.architecture },
    );
  }
  const sites = new Map(sitesOf(base).map((site) => [site.path, site]));
  const pairs = new Map<string, GgufPair>();
  for (const { base: tensor, a, b } of lora.tensors) {
    const site = siteOf(path, tensor, base.config, sites);
    checkPairShape(path, tensor, site, a.shape, b.shape);
    pairs.set(site.path, { alpha: lora.alpha, a, b });
  }
  return fromPairs(path, pairs, sites, adapter, 'gguf');
}

/** An adapter out of low-rank pairs by site path, whose shapes have been checked. */
export function fromPairs(
  path: string,
  pairs: ReadonlyMap<string, GgufPair>,
  sites: ReadonlyMap<string, Site>,
  adapter: Adapter,
  rowOrder: HostAdapter['rowOrder'],
): HostAdapter {
  const form = ggufForm(adapter);
  const states = new Map<string, HostState>();
  const configs = new Map<string, AdapterConfig>();
  for (const [at, pair] of pairs) {
    const { state, config } = form.fromPair(pair, sites.get(at)!);
    states.set(at, state);
    configs.set(at, config);
  }
  return { adapter, config: joined(path, adapter, configs), states, modules: new Map(), rowOrder };
}

/** One configuration out of each site's own. */
function joined(path: string, adapter: Adapter, configs: ReadonlyMap<string, AdapterConfig>): AdapterConfig {
  const form = ggufForm(adapter);
  if (form.joinConfigs !== undefined) return form.joinConfigs(configs);
  const [first, ...others] = [...configs].map(([at, config]) => ({
    at,
    config: { ...config, targetModules: [], excludeModules: [] },
  }));
  const other = others.find(({ config }) => JSON.stringify(config) !== JSON.stringify(first!.config));
  if (other !== undefined) {
    throw new ModelsError(
      'MODELS_ADAPTER',
      `${path}: ${other.at} has another rank or scale than the modules before it, and '${adapter.type}' knows only one for all`,
      { value: other.at },
    );
  }
  return { ...first!.config, targetModules: [...configs.keys()] };
}

function siteOf(path: string, base: string, config: CausalLmConfig, sites: ReadonlyMap<string, Site>): Site {
  const module = base.endsWith('.weight')
    ? modulePath(config.architecture, base.slice(0, -'.weight'.length))
    : undefined;
  const site = module === undefined ? undefined : sites.get(module);
  if (site !== undefined) return site;
  throw new ModelsError(
    'MODELS_ADAPTER',
    `${path} adapts ${base}, which this model of ${config.layers} layers does not have; give the model it was trained on`,
    { value: base },
  );
}

function checkPairShape(path: string, base: string, site: Site, a: readonly number[], b: readonly number[]): void {
  const [rows, columns] = site.kind === 'embedding' ? [b[0], a[0]] : [b[0], a[1]];
  if (rows === site.outFeatures && columns === site.inFeatures) return;
  throw new ModelsError(
    'MODELS_ADAPTER',
    `${path}: ${base} is for a weight [${rows}, ${columns}], the model's is [${site.outFeatures}, ${site.inFeatures}]; give the model it was trained on`,
    { value: [a, b] },
  );
}
