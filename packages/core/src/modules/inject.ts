import {
  ADAPTER_INTERFACE_VERSION,
  AdapterError,
  type AdapterState,
  type ConfiguredAdapter,
  type HostState,
  type SetupContext,
  type Site,
} from '../adapter/adapter.ts';
import { hostWeight, type HostWeight } from '../adapter/host-weight.ts';
import { selectTargets } from '../adapter/targets.ts';
import type { Backend } from '../backend/backend.ts';
import { decodeArray } from '../blocks/index.ts';
import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import { RandomStream } from '../random/random-stream.ts';
import { keep } from '../tensor/scope.ts';
import { sameShape, shapeText } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { AdapterSlot, sharedValue } from './adapter-slot.ts';
import { Adaptable, isFrozen } from './adaptable.ts';
import { FrozenWeight } from './frozen-weight.ts';
import type { Module } from './module.ts';

export interface InjectOptions {
  /** The adapter's name on this model; needed only where there are several. */
  readonly name?: string;
  /** Initial weights are a function of this, the adapter's type and each site's path. */
  readonly seed?: number;
}

interface Placed {
  readonly layer: Adaptable;
  readonly slot: AdapterSlot;
  /** The layer's weight before the adapter came, where the adapter or a merge replaced it. */
  original: Adaptable['weight'] | undefined;
}

/** An adapter on a model: its parameters, and the way off again. */
export class InjectedAdapter {
  readonly name: string;
  readonly configured: ConfiguredAdapter;
  readonly #placed: Placed[];
  #merged = false;

  constructor(name: string, configured: ConfiguredAdapter, placed: Placed[]) {
    this.name = name;
    this.configured = configured;
    this.#placed = placed;
  }

  /** Where it sits. */
  get sites(): readonly Site[] {
    return this.#placed.map(({ slot }) => slot.site);
  }

  get merged(): boolean {
    return this.#merged;
  }

  /** Every trained tensor, as `<path>.<name>`. */
  parameters(): Map<string, Tensor> {
    return new Map(this.#placed.flatMap(({ slot }) => Object.entries(slot.state.params).map(([name, param]) => [`${slot.site.path}.${name}`, param])));
  }

  /** Adds its delta or not. The tensors stay. */
  setActive(active: boolean): void {
    for (const { slot } of this.#placed) slot.active = active;
  }

  /** Its tensors in host memory, by site path. */
  async hostStates(): Promise<Map<string, HostState>> {
    const states = new Map<string, HostState>();
    for (const { slot } of this.#placed) {
      states.set(slot.site.path, { params: await readAll(slot.state.params), buffers: await readAll(slot.state.buffers) });
    }
    return states;
  }

  /**
   * Replaces its tensors' values; the sites and shapes must be the same.
   * @throws CoreError CORE_STATE naming the tensor that is missing, too many or of another shape; nothing is changed then.
   */
  load(states: ReadonlyMap<string, HostState>): void {
    const writes: [Tensor, HostArray][] = [];
    for (const path of states.keys()) {
      if (!this.#placed.some(({ slot }) => slot.site.path === path)) {
        throw new CoreError('CORE_STATE', `the adapter has tensors for ${path}, which is not among its target modules here`, { value: path });
      }
    }
    for (const { slot } of this.#placed) {
      const state = states.get(slot.site.path);
      if (state === undefined) throw new CoreError('CORE_STATE', `the adapter has no tensors for ${slot.site.path}`, { value: slot.site.path });
      writes.push(...matching(slot, 'params', state), ...matching(slot, 'buffers', state));
    }
    for (const [target, source] of writes) overwrite(target, source);
  }

  /**
   * The weight that base and adapter make together at one site, decoded.
   * @throws CoreError CORE_ARGUMENT when the adapter is not there; AdapterError when it cannot be merged.
   */
  async mergedWeight(path: string): Promise<HostWeight> {
    const place = this.#placed.find(({ slot }) => slot.site.path === path);
    if (place === undefined) throw new CoreError('CORE_ARGUMENT', `the adapter '${this.name}' does not sit on ${path}`, { value: path });
    return mergedWeight(place.slot, originalOf(place.original ?? place.layer.weight));
  }

  /** Puts the merged weights in the layers' place; `unmerge` brings back the ones before, bit for bit. */
  async merge(): Promise<void> {
    if (this.#merged) return;
    const merged: FrozenWeight[] = [];
    for (const { layer, slot, original } of this.#placed) {
      const weight = await mergedWeight(slot, originalOf(original ?? layer.weight));
      merged.push(new FrozenWeight(layer.weight.backend, { format: 'f32', shape: weight.shape, data: await weight.values() }));
    }
    this.#placed.forEach((place, i) => {
      const before = place.layer.replaceWeight(merged[i]!);
      if (place.original === undefined) place.original = before;
      else before.dispose();
      place.slot.active = false;
    });
    this.#merged = true;
  }

  unmerge(): void {
    if (!this.#merged) return;
    for (const place of this.#placed) {
      place.layer.replaceWeight(place.original!).dispose();
      place.original = undefined;
      const { base } = place.slot.state;
      if (base !== undefined) throw new CoreError('CORE_UNSUPPORTED', 'unmerge: this adapter replaced its base; eject() it and inject it again');
      place.slot.active = true;
    }
    this.#merged = false;
  }

  /** Takes the adapter off and frees its tensors; the layers are as before, bit for bit. */
  eject(): void {
    for (const place of this.#placed) {
      if (place.original !== undefined) place.layer.replaceWeight(place.original).dispose();
      place.layer.detach(place.slot);
      place.slot.dispose();
    }
    this.#placed.length = 0;
    this.#merged = false;
  }
}

/**
 * Puts an adapter on every target module of a model.
 * @throws CoreError CORE_NO_TARGET when nothing matches; AdapterError when the adapter refuses a site. The model is
 * unchanged then.
 */
export async function inject(model: Module, configured: ConfiguredAdapter, options: InjectOptions = {}): Promise<InjectedAdapter> {
  const { name = 'default', seed = 0 } = options;
  const { adapter, config } = configured;
  if (adapter.interfaceVersion !== ADAPTER_INTERFACE_VERSION) {
    throw new CoreError('CORE_INTERFACE_VERSION', `the adapter '${adapter.type}' is made for interface version ${String(adapter.interfaceVersion)}, this is ${ADAPTER_INTERFACE_VERSION}; install matching versions`, { value: adapter.interfaceVersion });
  }
  const layers = adaptableLayers(model);
  if (layers.some(({ layer }) => layer.slots.some((slot) => slot.name === name))) {
    throw new CoreError('CORE_ARGUMENT', `an adapter named '${name}' is already on this model; eject it or give another name`, { value: name });
  }
  const shared = new Map<string, unknown>();
  const placed: Placed[] = [];
  try {
    for (const { site, layer } of selectTargets(layers.map((entry) => ({ ...entry.site, ...entry })), config)) {
      const state = await adapter.setup(site, originalOf(layer.weight), config, setupContext(layer.weight.backend, site, adapter.type, seed, shared));
      keepAll(state);
      const slot = new AdapterSlot(name, site, configured, state, shared);
      placed.push({ layer, slot, original: undefined });
    }
  } catch (error) {
    for (const { slot } of placed) slot.dispose();
    throw error;
  }
  for (const place of placed) await settle(place);
  return new InjectedAdapter(name, configured, placed);
}

/** Brings the adapter into effect at one layer. */
async function settle(place: Placed): Promise<void> {
  const { layer, slot } = place;
  if (slot.state.base !== undefined) {
    const { shape } = slot.state.base;
    place.original = layer.replaceWeight(new FrozenWeight(layer.weight.backend, { format: 'f32', shape, data: await slot.state.base.values() }));
  }
  layer.attach(slot);
}

/** Every place in a model where an adapter can sit. */
export function adapterSites(model: Module): Site[] {
  return adaptableLayers(model).map(({ site }) => site);
}

function adaptableLayers(model: Module): { site: Site; layer: Adaptable }[] {
  const layers: { site: Site; layer: Adaptable }[] = [];
  for (const [path, layer] of model.modules()) {
    if (!(layer instanceof Adaptable)) continue;
    const { kind, inFeatures, outFeatures } = layer;
    layers.push({ site: { kind, path: path === '' ? kind : path, inFeatures, outFeatures }, layer });
  }
  return layers;
}

function setupContext(backend: Backend, site: Site, type: string, seed: number, shared: Map<string, unknown>): SetupContext {
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

function originalOf(weight: Adaptable['weight']): HostWeight {
  const shape = [weight.shape[0]!, weight.shape[1]!] as const;
  if (isFrozen(weight)) {
    return { shape, format: weight.format, values: async () => decodeArray(await weight.host()) };
  }
  return { shape, format: 'f32', values: async () => Float32Array.from(await weight.data()) };
}

async function mergedWeight(slot: AdapterSlot, original: HostWeight): Promise<HostWeight> {
  const { adapter, config } = slot.configured;
  if (adapter.merge === undefined) {
    throw new AdapterError('ADAPTER_UNSUPPORTED', `the adapter '${adapter.type}' cannot be merged into a weight`, { path: slot.site.path });
  }
  const state = { params: await readAll(slot.state.params), buffers: await readAll(slot.state.buffers) };
  const merged = await adapter.merge(original, state, config, slot.site);
  return hostWeight(merged.shape, await merged.values());
}

async function readAll(tensors: Readonly<Record<string, Tensor>>): Promise<Record<string, HostArray>> {
  const arrays: Record<string, HostArray> = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    arrays[name] = { format: tensor.dtype, shape: tensor.shape, data: await tensor.data() };
  }
  return arrays;
}

function matching(slot: AdapterSlot, part: 'params' | 'buffers', state: HostState): [Tensor, HostArray][] {
  const [mine, theirs] = [slot.state[part], state[part]];
  const stray = Object.keys(theirs).find((name) => !(name in mine));
  if (stray !== undefined) throw new CoreError('CORE_STATE', `the adapter has a tensor ${slot.site.path}.${stray} that '${slot.configured.adapter.type}' does not know`, { value: stray });
  return Object.entries(mine).map(([name, target]) => {
    const source = theirs[name];
    const full = `${slot.site.path}.${name}`;
    if (source === undefined) throw new CoreError('CORE_STATE', `the adapter lacks the tensor ${full}`, { value: full });
    if (!sameShape(source.shape, target.shape)) {
      throw new CoreError('CORE_STATE', `the tensor ${full} has shape ${shapeText(source.shape)}; ${shapeText(target.shape)} is needed`, { value: source.shape });
    }
    return [target, source];
  });
}

function overwrite(target: Tensor, source: HostArray): void {
  const { backend, shape } = target;
  const data = source.format === 'i32' ? (source.data as Int32Array) : decodeArray(source);
  const storage = backend.upload(data, target.dtype);
  backend.kernels.writeSlice(target.storage, shape, storage, shape.map(() => 0), shape);
  backend.free(storage);
  target.markChanged();
}
