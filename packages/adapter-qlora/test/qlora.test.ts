import {
  decodeArray,
  FrozenWeight,
  hostWeight,
  linear,
  Linear,
  quantize4bit,
  RandomStream,
  scope,
  tensor,
  type ConfiguredAdapter,
  type HostState,
  type TypedArray,
} from '@lowrank/core';
import { reference } from '@lowrank/conformance';
import { qlora } from '@lowrank/adapter-qlora';
import { describe, expect, it } from 'vitest';
import { pair, pairAdapter, type PairConfig } from './support/pair-adapter.ts';

const shape = [37, 75] as const;
const [rows, columns] = shape;
const random = new RandomStream(3, 'qlora');
const values = random.normal(rows * columns, 0.02);
const input = random.normal(4 * columns);

async function outputOf(layer: Pick<Linear, 'forward'>, backend: Parameters<typeof tensor>[0]): Promise<TypedArray> {
  const x = tensor(backend, input, [4, columns]);
  const y = scope(() => layer.forward(x));
  const data = await y.data();
  for (const used of [x, y]) used.dispose();
  return data;
}

/** As if trained. */
const learnt: HostState = {
  params: {
    A: { format: 'f32', shape: [2, columns], data: random.normal(2 * columns, 0.1) },
    B: { format: 'f32', shape: [rows, 2], data: random.normal(rows * 2, 0.1) },
  },
  buffers: {},
};

describe.each([
  { format: 'nf4', blockSize: 64, doubleQuantization: true },
  { format: 'fp4', blockSize: 32, doubleQuantization: false },
] as const)('over %o', (how) => {
  const base = quantize4bit(values, shape, how);

  it('starts with the very output of the quantized base', async () => {
    const backend = await reference();
    const expected = await outputOf(new Linear(new FrozenWeight(backend, base)), backend);
    const layer = linear(backend, { values, shape });
    const wrapped = await qlora.wrap(layer, { adapter: pair(), ...how });
    expect(await outputOf(wrapped, backend)).toEqual(expected);
  });

  it('keeps the base as blocks: the payload and the pair are all it takes', async () => {
    const backend = await reference();
    const layer = linear(backend, { values, shape });
    const before = backend.memory().liveBytes;
    const wrapped = await qlora.wrap(layer, { adapter: pair(), ...how });
    // The reference holds plain numbers in float64.
    const pairBytes = 8 * 2 * (rows + columns);
    expect(backend.memory().liveBytes - before).toBe(base.data.length + pairBytes);
    expect(wrapped.layer.weight).toBeInstanceOf(FrozenWeight);
    expect(await (wrapped.layer.weight as FrozenWeight).host()).toEqual(base);
  });

  it('merges onto the dequantized base, and ejects to the original', async () => {
    const backend = await reference();
    const layer = linear(backend, { values, shape });
    const original = layer.weight;
    const wrapped = await qlora.wrap(layer, { adapter: pair(), ...how });
    wrapped.adapter.load(new Map([['default', learnt]]));
    const merged = await (await wrapped.adapter.mergedWeight('default')).values();
    const [a, b] = [learnt.params['A']!.data, learnt.params['B']!.data];
    const dequantized = decodeArray(base);
    for (let at = 0; at < merged.length; at++) {
      const [row, column] = [Math.floor(at / columns), at % columns];
      const change = b[2 * row]! * a[column]! + b[2 * row + 1]! * a[columns + column]!;
      expect(merged[at]).toBeCloseTo(dequantized[at]! + change, 7);
    }
    wrapped.eject();
    expect(layer.weight).toBe(original);
  });

  it('builds a layer whose weight is never on the backend in full', async () => {
    const backend = await reference();
    const built = await qlora.build(backend, { weight: { values, shape }, adapter: pair(), ...how });
    expect(backend.memory().peakBytes).toBe(base.data.length + 8 * 2 * (rows + columns));
    expect(await (built.layer.weight as FrozenWeight).host()).toEqual(base);
    built.dispose();
    expect(backend.memory().liveBytes).toBe(0);
  });
});

it('leaves a base that is in 4 bits as it is, in whichever way', async () => {
  const backend = await reference();
  const base = quantize4bit(values, shape, { format: 'fp4', blockSize: 256 });
  const layer = new Linear(new FrozenWeight(backend, base));
  const { weight } = layer;
  const wrapped = await qlora.wrap(layer, { adapter: pair(), format: 'nf4' });
  expect(layer.weight).toBe(weight);
  expect(wrapped.adapter.slots[0]!.state.base).toBeUndefined();
});

it('gives the adapter inside the weight that it will sit on', async () => {
  const seen: Float32Array[] = [];
  const adapter = {
    ...pairAdapter,
    async setup(...[site, original, config, context]: Parameters<typeof pairAdapter.setup>) {
      seen.push(await original.values());
      return pairAdapter.setup(site, original, config, context);
    },
  };
  const layer = linear(await reference(), { values, shape });
  await qlora.wrap(layer, { adapter: { adapter, config: pair().config } });
  expect(seen).toEqual([decodeArray(quantize4bit(values, shape))]);
});

/** Takes ones out of the base, and trains what `params` says. */
const withBase = (third: boolean): ConfiguredAdapter<PairConfig> => ({
  config: pair().config,
  adapter: {
    ...pairAdapter,
    async setup(site, original, config, context) {
      const { params, buffers } = await pairAdapter.setup(site, original, config, context);
      const more = third ? { magnitude: tensor(context.backend, [1], [1]) } : {};
      const base = hostWeight(
        original.shape,
        (await original.values()).map((value) => value - 1),
      );
      return { params: { ...params, ...more }, buffers, base };
    },
  },
});

it('quantizes what an adapter of A and B alone leaves of the original', async () => {
  const backend = await reference();
  const layer = linear(backend, { values, shape });
  await qlora.wrap(layer, { adapter: withBase(false) });
  const rest = quantize4bit(
    values.map((value) => value - 1),
    shape,
  );
  expect(await (layer.weight as FrozenWeight).host()).toEqual(rest);
});

it('refuses one that depends on the base that it brings, and leaves nothing behind', async () => {
  const backend = await reference();
  const layer = linear(backend, { values, shape });
  const before = backend.memory().liveBytes;
  await expect(qlora.wrap(layer, { adapter: withBase(true) })).rejects.toMatchObject({
    code: 'ADAPTER_UNSUPPORTED',
    path: 'default',
  });
  expect(backend.memory().liveBytes).toBe(before);
});

it('refuses LoftQ over an adapter without rank and alpha, on 4 bits, and where the original is not kept', async () => {
  const backend = await reference();
  const layer = linear(backend, { values, shape });
  const before = backend.memory().liveBytes;
  await expect(qlora.wrap(layer, { adapter: pair(), init: 'loftq' })).rejects.toMatchObject({
    code: 'ADAPTER_UNSUPPORTED',
  });
  const quantized = new Linear(new FrozenWeight(backend, quantize4bit(values, shape)));
  await expect(qlora.wrap(quantized, { adapter: pair(), init: 'loftq' })).rejects.toMatchObject({
    code: 'ADAPTER_SITE',
    value: 'nf4',
  });
  quantized.dispose();
  const options = { weight: { values, shape }, adapter: pair(), init: 'loftq' } as const;
  await expect(qlora.build(backend, options)).rejects.toMatchObject({ code: 'ADAPTER_CONFIG', path: 'init' });
  expect(backend.memory().liveBytes).toBe(before);
});

it('refuses a weight that is not finite, naming the layer', async () => {
  const broken = Float32Array.from(values).fill(NaN, 70, 71);
  const layer = linear(await reference(), { values: broken, shape });
  await expect(qlora.wrap(layer, { adapter: pair(), name: 'q_proj' })).rejects.toMatchObject({
    code: 'ADAPTER_SITE',
    path: 'q_proj',
    value: NaN,
  });
});

it('refuses wrong options by name', async () => {
  for (const [option, path] of [
    [{ format: 'int4' }, 'format'],
    [{ blockSize: 63 }, 'blockSize'],
    [{ doubleQuantisation: true }, 'doubleQuantisation'],
  ] as const) {
    const options = { adapter: pair(), ...option } as never;
    expect(() => qlora(options)).toThrow(expect.objectContaining({ code: 'ADAPTER_CONFIG', path }));
  }
});

it('reads back from files with the quantization that it was made with', () => {
  const { adapter, config } = qlora({ adapter: pair({ rank: 3 }), format: 'fp4', blockSize: 128 });
  const quantization = {
    format: 'fp4',
    blockSize: 128,
    doubleQuantization: true,
    init: 'adapter',
    loftqIterations: 1,
  };
  expect(config.quantization).toEqual(quantization);
  const { gguf } = adapter.files;
  if ('unsupported' in gguf) throw new Error(gguf.unsupported);
  const site = { kind: 'linear', path: 'a.proj', inFeatures: columns, outFeatures: rows } as const;
  const read = gguf.fromPair(gguf.toPair(learnt, config, site), site);
  expect(read.config).toEqual({ rank: 2, targetModules: ['a.proj'], excludeModules: [], quantization });
  expect(gguf.joinConfigs!(new Map([['a.proj', read.config]]))).toEqual(read.config);
});
