import {
  ADAPTER_INTERFACE_VERSION,
  type Adapter,
  type AdapterState,
  type ConfiguredAdapter,
  type SetupContext,
  type Site,
} from '../adapter/adapter.ts';
import type { HostWeight } from '../adapter/host-weight.ts';
import { selectTargets } from '../adapter/targets.ts';
import type { Backend } from '../backend/backend.ts';
import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import { RandomStream } from '../random/random-stream.ts';
import { keep } from '../tensor/scope.ts';
import { AdapterPlacement, originalOf } from './adapter-placement.ts';
import { AdapterSlot, disposeShared, sharedValue } from './adapter-slot.ts';
import { Adaptable } from './adaptable.ts';
import { FrozenWeight } from './frozen-weight.ts';
import { InjectedAdapter } from './injected-adapter.ts';
import type { Module } from './module.ts';
import { copiesToTrain } from './trained-copy.ts';
import { requireFree } from './weight-owner.ts';

export interface InjectOptions {
  /** The adapter's name on this model; needed only where there are several. */
  readonly name?: string;
  /** Initial weights are a function of this, the adapter's type and each site's path. */
  readonly seed?: number;
}

/**
 * Puts an adapter on every target module of a model, and trained copies in place of what it trains beside.
 * @throws CoreError CORE_NO_TARGET when nothing matches, CORE_ARGUMENT for a name that is taken, and where another adapter that is
 * on has replaced a weight that this one replaces; AdapterError when the adapter refuses a site. The model is
 * unchanged then.
 */
export async function inject(
  model: Module,
  configured: ConfiguredAdapter,
  options: InjectOptions = {},
): Promise<InjectedAdapter> {
  const { name = 'default', seed = 0 } = options;
  checkVersion(configured.adapter);
  const layers = adaptableLayers(model);
  if (layers.some(({ layer }) => layer.slots.some((slot) => slot.name === name))) {
    throw new CoreError(
      'CORE_ARGUMENT',
      `an adapter named '${name}' is already on this model; eject it or give another name`,
      { value: name },
    );
  }
  const shared = new Map<string, unknown>();
  const placements: AdapterPlacement[] = [];
  const targets = selectTargets(layers, configured.config);
  const copies = await copiesToTrain(model, configured.config, targets, name);
  try {
    for (const { layer, ...site } of targets) {
      placements.push(await place(layer, site, name, configured, seed, shared));
    }
  } catch (error) {
    for (const placement of placements) placement.eject();
    for (const copy of copies) copy.dispose();
    disposeShared(shared);
    throw error;
  }
  for (const placement of placements) placement.attach();
  for (const copy of copies) copy.activate();
  return new InjectedAdapter(name, configured, { placements, copies, shared });
}

/** Sets the adapter up at one layer, without effect yet. */
async function place(
  layer: Adaptable,
  site: Site,
  name: string,
  configured: ConfiguredAdapter,
  seed: number,
  shared: Map<string, unknown>,
): Promise<AdapterPlacement> {
  const { adapter, config } = configured;
  const { backend } = layer.weight;
  const state = await adapter.setup(
    site,
    originalOf(layer.weight),
    config,
    setupContext(backend, site, adapter.type, seed, shared),
  );
  keepAll(state);
  if (state.base === undefined) {
    return new AdapterPlacement(layer, new AdapterSlot(name, site, configured, state, shared), undefined);
  }
  try {
    requireFree(layer.weight, `the weight of ${site.path}`, name);
    const base = new FrozenWeight(backend, await storedForm(state.base));
    // From here on the base is where the backend has it, and there alone.
    const slot = new AdapterSlot(name, site, configured, { ...state, base: originalOf(base) }, shared);
    return new AdapterPlacement(layer, slot, base);
  } catch (error) {
    for (const tensor of [...Object.values(state.params), ...Object.values(state.buffers)]) tensor.dispose();
    throw error;
  }
}

async function storedForm(weight: HostWeight): Promise<HostArray> {
  return weight.array?.() ?? { format: 'f32', shape: weight.shape, data: await weight.values() };
}

/** @throws CoreError CORE_INTERFACE_VERSION for an adapter made for another interface. */
function checkVersion({ type, interfaceVersion }: Adapter): void {
  if (interfaceVersion === ADAPTER_INTERFACE_VERSION) return;
  throw new CoreError(
    'CORE_INTERFACE_VERSION',
    `the adapter '${type}' is made for interface version ${String(interfaceVersion)}, this is ${ADAPTER_INTERFACE_VERSION}; install matching versions`,
    {
      value: interfaceVersion,
    },
  );
}

/** Every place in a model where an adapter can sit. */
export function adapterSites(model: Module): Site[] {
  return adaptableLayers(model).map(({ layer: _, ...site }) => site);
}

function adaptableLayers(model: Module): (Site & { layer: Adaptable })[] {
  const layers: (Site & { layer: Adaptable })[] = [];
  for (const [path, layer] of model.modules()) {
    if (!(layer instanceof Adaptable)) continue;
    const { kind, inFeatures, outFeatures } = layer;
    layers.push({ kind, path: path === '' ? kind : path, inFeatures, outFeatures, layer });
  }
  return layers;
}

/** What `setup` gets: random numbers that seed, type and path name. */
export function setupContext(
  backend: Backend,
  site: Site,
  type: string,
  seed: number,
  shared: Map<string, unknown>,
): SetupContext {
  return {
    backend,
    random: (purpose) => new RandomStream(seed, `${type}/${site.path}/${purpose}`),
    shared: <T>(key: string, make: () => T) => sharedValue(shared, key, make),
  };
}

function keepAll(state: AdapterState): void {
  for (const param of Object.values(state.params)) keep(param).requiresGrad = true;
  for (const buffer of Object.values(state.buffers)) keep(buffer);
}
