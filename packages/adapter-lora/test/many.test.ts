/** Several LoRA adapters on one model: combined, PiSSA among them, and on an embedding row by row. */
import { reference } from '@lowrank/conformance';
import {
  adapterRows,
  Embedding,
  FrozenWeight,
  inject,
  linear,
  ModelAdapters,
  Module,
  RandomStream,
  scope,
  tensor,
  type Backend,
  type HostState,
  type InjectedAdapter,
  type Linear,
} from '@lowrank/core';
import { lora, type LoraOptions } from '@lowrank/adapter-lora';
import { beforeEach, describe, expect, it } from 'vitest';

const [vocabulary, width] = [11, 8];

class Net extends Module {
  readonly embedding: Embedding;
  readonly layers: readonly Linear[];

  constructor(backend: Backend) {
    super();
    const values = (name: string, size: number): Float32Array => new RandomStream(1, name).normal(size, 0.5);
    this.embedding = this.child(
      'embedding',
      new Embedding(
        new FrozenWeight(backend, {
          format: 'f32',
          shape: [vocabulary, width],
          data: values('embedding', vocabulary * width),
        }),
      ),
    );
    this.layers = ['q', 'k'].map((name) =>
      this.child(name, linear(backend, { values: values(name, width * width), shape: [width, width] })),
    );
  }
}

let backend: Backend;
let net: Net;
beforeEach(async () => {
  backend = await reference();
  net = new Net(backend);
});
const ids = [3, 1, 4, 1, 5, 9];
const output = async (names?: (string | undefined)[]): Promise<number[]> => {
  const rows =
    names === undefined
      ? undefined
      : adapterRows(
          net,
          names.map(() => 1),
          names,
        );
  const pass = { training: false, seed: 0, step: 0, ...(rows === undefined ? {} : { adapterRows: rows }) };
  const y = scope(() =>
    net.layers.reduce(
      (x, layer) => layer.forward(x, pass),
      net.embedding.forward(tensor(backend, Int32Array.from(ids), [ids.length]), pass),
    ),
  );
  const values = Array.from(await y.data());
  y.dispose();
  return values;
};

/** As if trained: every number moved. */
async function stirred(name: string, options: LoraOptions): Promise<InjectedAdapter> {
  const adapter = await inject(net, lora({ rank: 2, targetModules: ['q', 'k'], ...options }), { name });
  const moved = new Map<string, HostState>();
  for (const [path, { params, buffers }] of await adapter.hostStates()) {
    const changed = Object.entries(params).map(([key, array]) => {
      const noise = new RandomStream(7, `${name}/${path}/${key}`).normal(array.data.length, 0.2);
      return [key, { ...array, data: noise.map((value, i) => Math.fround(value + array.data[i]!)) }];
    });
    moved.set(path, { params: Object.fromEntries(changed) as HostState['params'], buffers });
  }
  adapter.load(moved);
  return adapter;
}

/** The weight that a combination should make: W + sum w (W' - W), each adapter's W' merged alone. */
async function expected(path: string, sources: readonly (readonly [InjectedAdapter, number])[]): Promise<number[]> {
  const layer = net.layers[path === 'q' ? 0 : 1]!;
  for (const [adapter] of sources) adapter.setActive(false);
  const weight = Array.from((await (layer.weight as FrozenWeight).host()).data);
  const sum = [...weight];
  for (const [adapter, factor] of sources) {
    if (!adapter.sites.some((site) => site.path === path)) continue;
    const merged = await (await adapter.mergedWeight(path)).values();
    merged.forEach((value, i) => {
      sum[i]! += factor * (value - weight[i]!);
    });
  }
  return sum;
}

describe('lora.combine', () => {
  it("'cat' makes the weighted sum of the changes, of adapters with other ranks, scales, starts and sites", async () => {
    const sources = [
      [await stirred('plain', { rank: 2, alpha: 3 }), 0.7],
      [await stirred('rs', { rank: 4, alpha: 2, useRslora: true, targetModules: ['q'] }), -0.5],
      [await stirred('pissa', { rank: 3, alpha: 6, init: 'pissa' }), 1],
    ] as const;
    const combined = await lora.combine(
      net,
      sources.map(([adapter, weight]) => ({ adapter, weight })),
      { name: 'all' },
    );
    expect(combined.active).toBe(false);
    // PiSSA's file form has twice its rank.
    expect(combined.sites.map(({ path }) => [path, combined.slots.length])).toEqual([
      ['q', 2],
      ['k', 2],
    ]);
    const shapes = Object.fromEntries(Array.from(combined.parameters(), ([name, { shape }]) => [name, shape]));
    expect(shapes).toMatchObject({ 'q.A': [2 + 4 + 6, width], 'k.A': [2 + 6, width] });
    for (const path of ['q', 'k']) {
      const wanted = await expected(path, sources);
      const made = await (await combined.mergedWeight(path)).values();
      // Some roundings to f32 of numbers below 4.
      made.forEach((value, i) => expect(Math.abs(value - wanted[i]!)).toBeLessThan(8 * 4 * 2 ** -24));
    }
  });

  it('leaves the sources as they are, and takes their place when it is switched on', async () => {
    const one = await stirred('one', {});
    const live = await output();
    const copy = await lora.combine(net, [{ adapter: one }], { name: 'copy', method: 'linear' });
    expect(await output()).toEqual(live);
    one.setActive(false);
    copy.setActive(true);
    const values = await output();
    // sqrt(s) on both halves, each rounded to f32.
    values.forEach((value, i) => expect(value).toBeCloseTo(live[i]!, 5));
  });

  it('draws the same DARE masks for the same seed', async () => {
    const [one, two] = [await stirred('one', {}), await stirred('two', {})];
    const made = async (name: string, seed: number): Promise<Float32Array> => {
      const sources = [{ adapter: one }, { adapter: two, weight: 0.5 }];
      const combined = await lora.combine(net, sources, { name, method: 'dare_ties', density: 0.6, seed });
      return (await combined.mergedWeight('q')).values();
    };
    const first = await made('a', 3);
    expect(await made('b', 3)).toEqual(first);
    expect(await made('c', 4)).not.toEqual(first);
  });

  it('combines embeddings as well', async () => {
    const sources = ['one', 'two'].map((name) => stirred(name, { targetModules: ['embedding', 'q'], rank: 3 }));
    const [one, two] = [await sources[0]!, await sources[1]!];
    const base = await (net.embedding.weight as FrozenWeight).host();
    const table = async (adapter: InjectedAdapter): Promise<Float32Array> =>
      (await adapter.mergedWeight('embedding')).values();
    const combined = await lora.combine(
      net,
      [
        { adapter: one, weight: 2 },
        { adapter: two, weight: -1 },
      ],
      { name: 'x' },
    );
    const [first, second, both] = [await table(one), await table(two), await table(combined)];
    both.forEach((value, i) => {
      const start = base.data[i]!;
      expect(value).toBeCloseTo(start + 2 * (first[i]! - start) - (second[i]! - start), 5);
    });
  });

  it('refuses what it cannot combine', async () => {
    const one = await stirred('one', {});
    const whole = await inject(net, lora({ targetModules: ['q'], modulesToSave: ['embedding'] }), { name: 'whole' });
    await expect(lora.combine(net, [], { name: 'x' })).rejects.toMatchObject({ code: 'CORE_ARGUMENT' });
    await expect(lora.combine(net, [{ adapter: whole }], { name: 'x' })).rejects.toMatchObject({
      code: 'ADAPTER_UNSUPPORTED',
      path: 'whole',
    });
    await expect(lora.combine(net, [{ adapter: one, weight: Number.NaN }], { name: 'x' })).rejects.toMatchObject({
      code: 'CORE_ARGUMENT',
    });
    await expect(lora.combine(net, [{ adapter: one }], { name: 'one' })).rejects.toMatchObject({
      code: 'CORE_ARGUMENT',
    });
    one.eject();
    await expect(lora.combine(net, [{ adapter: one }], { name: 'x' })).rejects.toMatchObject({ code: 'CORE_ARGUMENT' });
  });
});

it('rows of one batch go through different adapters, on an embedding, too', async () => {
  const targetModules = ['embedding', 'q', 'k'];
  const [one, two] = [await stirred('one', { targetModules }), await stirred('two', { targetModules })];
  const alone = async (adapter: InjectedAdapter | undefined): Promise<number[]> => {
    for (const other of [one, two]) other.setActive(other === adapter);
    return output();
  };
  const results = { one: await alone(one), two: await alone(two), base: await alone(undefined) };
  for (const adapter of [one, two]) adapter.setActive(true);
  const names = ['two', 'one', undefined, 'two', undefined, 'one'] as const;
  const mixed = await output([...names]);
  names.forEach((name, row) => {
    const own = results[name ?? 'base'];
    for (let i = row * width; i < (row + 1) * width; i++) expect(mixed[i]).toBeCloseTo(own[i]!, 12);
  });
});

it('adapters that replace the base are added one beside the other, each made of the model’s own weight', async () => {
  const adapters = new ModelAdapters(net);
  const base = await output();
  const pissa = lora({ targetModules: ['q'], rank: 3, init: 'pissa' });
  await adapters.add('one', pissa, { active: true });
  const second = await adapters.add('two', lora({ targetModules: ['q'], rank: 2, init: 'olora' }));
  expect(adapters.active).toEqual(['one']);
  adapters.activate('two');
  (await output()).forEach((value, i) => expect(Math.abs(value - base[i]!)).toBeLessThan(1e-5));
  const merged = await (await second.mergedWeight('q')).values();
  const original = (await (net.layers[0]!.weight as FrozenWeight).host()).data;
  expect(original).not.toEqual(merged);
  await expect(adapters.add('three', pissa, { active: true })).rejects.toMatchObject({ code: 'CORE_ARGUMENT' });
  expect(adapters.active).toEqual(['two']);
  expect(adapters.names).toEqual(['one', 'two', 'three']);
  adapters.activate();
  expect(await output()).toEqual(base);
  adapters.dispose();
});

describe.each(['pissa', 'olora'] as const)('%s on a model', (init) => {
  it('starts at the base, is the base when switched off, and its GGUF pair stands on the base', async () => {
    const base = await output();
    for (const options of [{}, { alpha: 1 }, { rank: 5, alpha: 16, useRslora: true }]) {
      const adapter = await inject(net, lora({ targetModules: ['q', 'k'], rank: 3, init, ...options }), { name: init });
      // Two layers in a row, each off by the rounding of its base: 2^-24 of sums of 8 products below 8.
      (await output()).forEach((value, i) => expect(Math.abs(value - base[i]!)).toBeLessThan(1e-5));
      adapter.setActive(false);
      expect(await output()).toEqual(base);
      adapter.eject();
    }
  });

  it('has no form without a weight', async () => {
    await expect(lora.build(backend, { inFeatures: 4, outFeatures: 4, init, rank: 2 })).rejects.toMatchObject({
      code: 'ADAPTER_SITE',
    });
  });
});
