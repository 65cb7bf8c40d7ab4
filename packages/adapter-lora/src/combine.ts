import {
  adapterSites,
  CoreError,
  AdapterError,
  combinePairs,
  inject,
  joinLowRankConfigs,
  pairOnOriginal,
  parseCombineOptions,
  RandomStream,
  type CombineOptions,
  type CombineSettings,
  type HostPair,
  type HostState,
  type InjectedAdapter,
  type Module,
  type Site,
  type WeightedPair,
} from '@lowrank/core';
import { loraScale, parseLoraConfig, type LoraConfig } from './config.ts';
import { loraAdapter } from './lora-adapter.ts';

/** An adapter on the model, and its part in the combination. */
export interface CombineSource {
  readonly adapter: InjectedAdapter;
  /** May be negative. Default 1. */
  readonly weight?: number | undefined;
}

export interface CombineLoraOptions extends CombineOptions {
  /** The new adapter's. */
  readonly name: string;
}

/** What one source has at one site. */
type Part = Omit<WeightedPair, 'keep'> & { readonly name: string };

/**
 * A new LoRA adapter out of several on the same model, as PEFT's `add_weighted_adapter`; where only some sit on a module, of those.
 * It is put on the model and switched off: `setActive(true)`, and the sources off. Its scale is 1.
 * @throws AdapterError ADAPTER_UNSUPPORTED for a source that is not LoRA, or trains whole modules or biases beside; ADAPTER_CONFIG
 * for a wrong option.
 */
export async function combineLora(
  model: Module,
  sources: readonly CombineSource[],
  options: CombineLoraOptions,
): Promise<InjectedAdapter> {
  const { name, ...rest } = options;
  const settings = parseCombineOptions(rest);
  checkSources(model, sources);
  const parts = new Map<string, Part[]>();
  const sites = new Map<string, Site>();
  for (const { adapter, weight = 1 } of sources) {
    const states = await adapter.hostStates();
    for (const site of adapter.sites) {
      const part = partOf(adapter, states.get(site.path)!, site, weight);
      sites.set(site.path, site);
      parts.set(site.path, [...(parts.get(site.path) ?? []), part]);
    }
  }
  const [states, configs] = [new Map<string, HostState>(), new Map<string, LoraConfig>()];
  for (const [path, site] of sites) {
    const made = combinePairs(parts.get(path)!.map(withMasks(site, settings)), site, settings);
    states.set(path, stateOf(made, site));
    configs.set(path, parseLoraConfig({ rank: made.rank, alpha: made.rank, targetModules: [path] }));
  }
  const config = joinLowRankConfigs('lora', configs);
  const combined = await inject(model, { adapter: loraAdapter, config }, { name });
  combined.load(states);
  combined.setActive(false);
  return combined;
}

function partOf({ name, configured }: InjectedAdapter, state: HostState, site: Site, weight: number): Part {
  const config = configured.config as LoraConfig;
  const { a, b, rank, alpha } = pairOnOriginal('lora', state, config, site);
  return { name, a, b, rank, weight, scale: loraScale({ ...config, rank, alpha }) };
}

/** DARE's masks: functions of the seed, the module, the source's name and what is thinned out. */
function withMasks({ path }: Site, { density, seed }: CombineSettings): (part: Part) => WeightedPair {
  return ({ name, ...pair }) => ({
    ...pair,
    keep: (half, length) => {
      const random = new RandomStream(seed, `dare/${path}/${name}/${half}`);
      return Uint8Array.from({ length }, () => (random.nextUniform() < density ? 1 : 0));
    },
  });
}

function stateOf({ a, b, rank }: HostPair & { rank: number }, { inFeatures, outFeatures }: Site): HostState {
  return {
    params: {
      A: { format: 'f32', shape: [rank, inFeatures], data: Float32Array.from(a) },
      B: { format: 'f32', shape: [outFeatures, rank], data: Float32Array.from(b) },
    },
    buffers: {},
  };
}

function checkSources(model: Module, sources: readonly CombineSource[]): void {
  if (sources.length === 0) throw new CoreError('CORE_ARGUMENT', 'combine: give at least one adapter');
  const here = new Set(adapterSites(model).map(({ path }) => path));
  for (const { adapter, weight = 1 } of sources) {
    const { name, configured, copies, sites } = adapter;
    if (configured.adapter.type !== loraAdapter.type || copies.length > 0) {
      throw new AdapterError(
        'ADAPTER_UNSUPPORTED',
        copies.length > 0
          ? `combine: '${name}' trains ${copies[0]!.path}.${copies[0]!.name} whole, which a low-rank adapter has no place for; merge it into the model instead`
          : `combine: '${name}' is ${configured.adapter.type}; only LoRA adapters can be combined into one, others can be merged into the model one after another`,
        { path: name, value: configured.adapter.type },
      );
    }
    if (!Number.isFinite(weight)) {
      throw new CoreError('CORE_ARGUMENT', `combine: the weight of '${name}' is ${weight}; give a finite number`, {
        value: weight,
      });
    }
    if (sites.length === 0 || sites.some(({ path }) => !here.has(path))) {
      throw new CoreError('CORE_ARGUMENT', `combine: '${name}' is not on this model (was it ejected?)`, {
        value: name,
      });
    }
  }
}
