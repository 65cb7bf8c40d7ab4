import type { Adapter, AdapterConfig, HostArray, HostState, NamedArrays, Site } from '@lowrank/core';
import type { CausalLmConfig } from '../causal-lm/config.ts';
import { ModelsError } from '../models-error.ts';
import { hasOwnOrder, reorderRows, type RowOrder } from './row-order.ts';

/** An adapter in host memory: what every kind of file is read into and written from. */
export interface HostAdapter {
  readonly adapter: Adapter;
  readonly config: AdapterConfig;
  /** Its tensors by site path. Buffers are there only where they come from a model. */
  readonly states: ReadonlyMap<string, HostState>;
  /** Weights and biases that were trained whole beside it, by name: `lm_head.weight`. */
  readonly modules: NamedArrays;
  /** In which order the rows of q and k stand. */
  readonly rowOrder: RowOrder;
  /** The seed of the run that made it, where that is known: what decides how PiSSA and others begin. */
  readonly seed?: number;
}

/** The sites that an adapter's tensors are for, in the model's order. */
export function sitesWith(states: ReadonlyMap<string, unknown>, sites: readonly Site[]): Site[] {
  return sites.filter((site) => states.has(site.path));
}

/** PEFT's names of tensors that have a row for each output, and of those that have none. */
const withRows = /^(?:lora_B\.(?:weight|bias)|lora_magnitude_vector)$/;
const withoutRows = /^lora_A\.weight$/;

/**
 * The same adapter with the rows of q and k in another order.
 * @throws ModelsError MODELS_ADAPTER for an adapter of which it is not known what its tensors' rows are.
 */
export function inRowOrder(
  source: HostAdapter,
  config: CausalLmConfig,
  sites: readonly Site[],
  to: RowOrder,
): HostAdapter {
  if (source.rowOrder === to) return source;
  const states = new Map(source.states);
  for (const site of sitesWith(states, sites)) {
    if (!hasOwnOrder(config, site.path)) continue;
    const { params, buffers } = states.get(site.path)!;
    const move = (arrays: HostState['params']): HostState['params'] =>
      Object.fromEntries(
        Object.entries(arrays).map(([name, array]) => [
          name,
          hasRows(source.adapter, site, name) ? reorderRows(array, config.headSize, to) : array,
        ]),
      );
    states.set(site.path, { params: move(params), buffers });
  }
  const modules = new Map<string, HostArray>();
  for (const [name, array] of source.modules) {
    const path = name.replace(/\.(?:weight|bias)$/, '');
    modules.set(name, hasOwnOrder(config, path) ? reorderRows(array, config.headSize, to) : array);
  }
  return { ...source, states, modules, rowOrder: to };
}

function hasRows({ type, files }: Adapter, site: Site, param: string): boolean {
  const suffix = 'unsupported' in files.peft ? undefined : files.peft.tensorNames(site)[param];
  if (suffix !== undefined && withRows.test(suffix)) return true;
  if (suffix !== undefined && withoutRows.test(suffix)) return false;
  throw new ModelsError(
    'MODELS_ADAPTER',
    `'${type}' sits on ${site.path}, whose rows stand in another order in this kind of file, and what the rows of its tensor ${param} are is not known; use the adapter with the kind of base that it was trained on`,
    { value: site.path },
  );
}
