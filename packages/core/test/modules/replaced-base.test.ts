/** Adapters that bring a base of their own (as PiSSA does), alone and under others; and `wrapLayer`. */
import { reference } from '@lowrank/conformance';
import {
  hostWeight,
  inject,
  linear,
  mul,
  scope,
  tensor,
  wrapLayer,
  type Adapter,
  type AdapterConfig,
  type Backend,
  type FrozenWeight,
  type HostWeight,
  type Linear,
} from '@lowrank/core';
import { beforeEach, describe, expect, it } from 'vitest';

/** The base becomes half of itself, the adapter adds gain times it back: merged, W/2 (1 + gain). */
const halving: Adapter = {
  type: 'halving',
  interfaceVersion: 1,
  parseConfig: () => ({ targetModules: ['linear'], excludeModules: [] }),
  async setup(_site, original, _config, { backend }) {
    const values = await original.values();
    return {
      params: { gain: tensor(backend, [1], [1]) },
      buffers: {},
      base: hostWeight(
        original.shape,
        values.map((value) => value / 2),
      ),
    };
  },
  delta: (x, _y0, base, { params }) => mul(base.product(x), params['gain']!),
  async merge(original, { params }) {
    const gain = params['gain']!.data[0]!;
    return hostWeight(
      original.shape,
      (await original.values()).map((value) => (value / 2) * (1 + gain)),
    );
  },
  files: { gguf: { unsupported: 'a toy' }, peft: { unsupported: 'a toy' } },
};
const config: AdapterConfig = { targetModules: ['linear'], excludeModules: [] };
const halve = { adapter: halving, config };
/** The same, on the base that is there. */
const doubling = {
  adapter: {
    ...halving,
    setup: async (...args: Parameters<Adapter['setup']>) => ({
      params: (await halving.setup(...args)).params,
      buffers: {},
    }),
    merge: async (original: HostWeight) =>
      hostWeight(
        original.shape,
        (await original.values()).map((value) => value * 2),
      ),
  },
  config,
};

let backend: Backend;
let layer: Linear;
let original: unknown;
beforeEach(async () => {
  backend = await reference();
  layer = linear(backend, { values: [2, 4, 6, 8], shape: [2, 2] });
  original = layer.weight;
});
const weight = async (): Promise<number[]> => [...(await (layer.weight as FrozenWeight).host()).data];
const output = async (): Promise<number[]> => {
  const y = scope(() => layer.forward(tensor(backend, [1, 10], [2])));
  const values = [...(await y.data())];
  y.dispose();
  return values;
};
const base = [42, 86];

describe('an adapter with a base of its own', () => {
  it('replaces the weight while it is on, and gives the first one back', async () => {
    const adapter = await inject(layer, halve);
    expect(await weight()).toEqual([1, 2, 3, 4]);
    expect(await output()).toEqual(base);
    adapter.setActive(false);
    expect(layer.weight).toBe(original);
    expect(await output()).toEqual(base);
    adapter.setActive(true);
    expect(await weight()).toEqual([1, 2, 3, 4]);
    expect(await output()).toEqual(base);
    adapter.eject();
    expect(layer.weight).toBe(original);
    expect(await output()).toEqual(base);
  });

  it('is one of several, of which one is on', async () => {
    const { liveBytes } = backend.memory();
    const one = await inject(layer, halve, { name: 'one' });
    const taken = { code: 'CORE_ARGUMENT', message: expect.stringContaining("'one' has replaced already") as string };
    const live = backend.memory().liveBytes;
    await expect(inject(layer, halve, { name: 'two' })).rejects.toThrow(expect.objectContaining(taken));
    expect(backend.memory().liveBytes).toBe(live);
    one.setActive(false);
    const two = await inject(layer, halve, { name: 'two' });
    expect(await weight()).toEqual([1, 2, 3, 4]);
    expect(() => one.setActive(true)).toThrow(expect.objectContaining({ code: 'CORE_ARGUMENT' }));
    two.setActive(false);
    one.setActive(true);
    expect(await output()).toEqual(base);
    one.eject();
    two.eject();
    expect(layer.weight).toBe(original);
    expect(backend.memory().liveBytes).toBe(liveBytes);
  });

  it('is not switched on or merged where another was merged meanwhile', async () => {
    const under = await inject(layer, halve, { name: 'under' });
    under.setActive(false);
    const over = await inject(layer, doubling, { name: 'over' });
    await over.merge();
    const refused = { code: 'CORE_ARGUMENT', message: expect.stringContaining('unmerge or deactivate') as string };
    expect(() => under.setActive(true)).toThrow(expect.objectContaining(refused));
    await expect(under.merge()).rejects.toThrow(expect.objectContaining(refused));
    over.eject();
    await under.merge();
    expect(await weight()).toEqual([2, 4, 6, 8]);
    under.unmerge();
    expect(layer.weight).toBe(original);
    under.eject();
    expect(layer.weight).toBe(original);
  });

  it('merges from the first weight, and unmerges to its own base', async () => {
    const adapter = await inject(layer, halve);
    adapter.load(
      new Map([['linear', { params: { gain: { format: 'f32', shape: [1], data: Float32Array.of(2) } }, buffers: {} }]]),
    );
    expect(await output()).toEqual([63, 129]);
    expect(await (await adapter.mergedWeight('linear')).values()).toEqual(Float32Array.of(3, 6, 9, 12));
    await adapter.merge();
    expect(await weight()).toEqual([3, 6, 9, 12]);
    expect(await output()).toEqual([63, 129]);
    expect(() => adapter.setActive(true)).toThrow(/unmerge\(\) it first/);
    adapter.unmerge();
    expect(await weight()).toEqual([1, 2, 3, 4]);
    expect(await output()).toEqual([63, 129]);
    await adapter.merge();
    adapter.eject();
    expect(layer.weight).toBe(original);
  });

  it('stays under another that was merged on it', async () => {
    const under = await inject(layer, halve, { name: 'under' });
    const over = await inject(layer, doubling, { name: 'over' });
    const before = await output();
    await over.merge();
    const refused = { code: 'CORE_ARGUMENT', message: expect.stringContaining('unmerge that one first') as string };
    expect(() => under.eject()).toThrow(expect.objectContaining(refused));
    expect(() => under.unmerge()).toThrow(expect.objectContaining(refused));
    await expect(under.merge()).rejects.toThrow(/unmerge that one first/);
    over.unmerge();
    expect(await output()).toEqual(before);
    over.eject();
    under.eject();
    expect(layer.weight).toBe(original);
    expect(await output()).toEqual(base);
  });

  it('frees all that it made', async () => {
    const { liveBytes } = backend.memory();
    const adapter = await inject(layer, halve);
    await adapter.merge();
    adapter.unmerge();
    adapter.eject();
    expect(backend.memory().liveBytes).toBe(liveBytes);
  });

  it('leaves the layer alone when its base cannot be made', async () => {
    const { liveBytes } = backend.memory();
    const broken: Adapter = {
      ...halving,
      setup: async (...args) => ({
        ...(await halving.setup(...args)),
        base: { shape: [2, 2], format: 'f32', values: () => Promise.reject(new Error('no values')) },
      }),
    };
    await expect(inject(layer, { adapter: broken, config })).rejects.toThrow('no values');
    expect(layer.weight).toBe(original);
    expect(layer.slots).toEqual([]);
    expect(backend.memory().liveBytes).toBe(liveBytes);
  });
});

describe('merging', () => {
  it('that fails changes nothing', async () => {
    const adapter = await inject(layer, {
      adapter: { ...halving, merge: () => Promise.reject(new Error('too hard')) },
      config,
    });
    const { liveBytes } = backend.memory();
    await expect(adapter.merge()).rejects.toThrow('too hard');
    expect(adapter.merged).toBe(false);
    expect(await output()).toEqual(base);
    expect(backend.memory().liveBytes).toBe(liveBytes);
  });
});

describe('wrapLayer', () => {
  it('takes any name, whatever the target modules', async () => {
    const adapter = await wrapLayer(layer, halve, { name: 'some.name' });
    expect(adapter.sites).toEqual([{ kind: 'linear', path: 'some.name', inFeatures: 2, outFeatures: 2 }]);
    await expect(wrapLayer(layer, halve, { name: 'some.name' })).rejects.toMatchObject({ code: 'CORE_ARGUMENT' });
    await expect(wrapLayer(layer, halve, { name: '' })).rejects.toMatchObject({ code: 'CORE_ARGUMENT' });
    adapter.eject();
  });
});
