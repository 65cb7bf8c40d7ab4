import { adapterSites, inject, type HostArray, type HostState, type InjectedAdapter } from '@lowrank/core';
import type { CausalLm } from '../causal-lm/causal-lm.ts';
import { inRowOrder, type HostAdapter } from './host-adapter.ts';
import { rowOrderOf } from './row-order.ts';

export interface LoadAdapterOptions {
  /** The adapter's name on the model; needed only where there are several. */
  readonly name?: string;
}

/** An adapter that sits on a model, in host memory. */
export async function adapterFromModel(model: CausalLm, injected: InjectedAdapter): Promise<HostAdapter> {
  const { adapter, config } = injected.configured;
  const states = await injected.hostStates();
  const modules = new Map<string, HostArray>();
  for (const { path, name } of injected.copies) {
    const { [name]: array, ...params } = states.get(path)!.params;
    modules.set(`${path}.${name}`, array!);
    if (Object.keys(params).length === 0) states.delete(path);
    else states.set(path, { ...states.get(path)!, params });
  }
  return {
    adapter,
    config,
    states,
    modules,
    rowOrder: rowOrderOf(model.config),
  };
}

/**
 * Puts an adapter on a model.
 * @throws CoreError as `inject` and `InjectedAdapter.load` do; the model is unchanged then.
 */
export async function putOnModel(
  source: HostAdapter,
  model: CausalLm,
  options: LoadAdapterOptions = {},
): Promise<InjectedAdapter> {
  const ordered = inRowOrder(source, model.config, adapterSites(model), rowOrderOf(model.config));
  const { adapter, config, seed } = ordered;
  const injected = await inject(model, { adapter, config }, { ...options, ...(seed === undefined ? {} : { seed }) });
  try {
    injected.load(await withBuffers(withModules(ordered), injected));
  } catch (error) {
    injected.eject();
    throw error;
  }
  return injected;
}

/** Core has a module that was trained whole as a state of its own, or as one more tensor of its site's. */
function withModules({ states, modules }: HostAdapter): ReadonlyMap<string, HostState> {
  const all = new Map(states);
  for (const [name, array] of modules) {
    const at = name.lastIndexOf('.');
    const [path, part] = [name.slice(0, at), name.slice(at + 1)];
    const { params, buffers } = all.get(path) ?? { params: {}, buffers: {} };
    all.set(path, { params: { ...params, [part]: array }, buffers });
  }
  return all;
}

/** What is not trained is made from the base when the adapter is set up; files of other tools do not hold it. */
async function withBuffers(
  states: ReadonlyMap<string, HostState>,
  injected: InjectedAdapter,
): Promise<ReadonlyMap<string, HostState>> {
  if (injected.slots.every(({ state }) => Object.keys(state.buffers).length === 0)) return states;
  const made = await injected.hostStates();
  return new Map(
    Array.from(states, ([path, { params }]) => [path, { params, buffers: made.get(path)?.buffers ?? {} }]),
  );
}
