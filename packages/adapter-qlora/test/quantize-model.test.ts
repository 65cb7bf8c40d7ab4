import {
  decodeArray,
  Embedding,
  FrozenWeight,
  inject,
  keep,
  Linear,
  Module,
  quantize4bit,
  RandomStream,
  tensor,
  type Backend,
  type HostArray,
} from '@lowrank/core';
import { reference } from '@lowrank/conformance';
import { quantizeModel } from '@lowrank/adapter-qlora';
import { describe, expect, it } from 'vitest';
import { pair } from './support/pair-adapter.ts';

const [features, vocabulary, depth] = [64, 41, 6];

const weightOf = (name: string, rows: number): HostArray => ({
  format: 'f32',
  shape: [rows, features],
  data: new RandomStream(1, name).normal(rows * features),
});

/** Linear layers, an embedding, and a head that is tied to it. */
class Model extends Module {
  readonly proj: Linear[];
  readonly embedding: Embedding;
  readonly head: Linear;

  constructor(backend: Backend) {
    super();
    const table = new FrozenWeight(backend, weightOf('table', vocabulary));
    this.embedding = this.child('embed_tokens', new Embedding(table));
    this.proj = Array.from({ length: depth }, (_, i) =>
      this.child(`${i}.proj`, new Linear(new FrozenWeight(backend, weightOf(`proj ${i}`, features)))),
    );
    this.head = this.child('lm_head', new Linear(table));
  }
}

describe('quantizeModel', () => {
  it('quantizes every linear layer but the head, and frees the originals', async () => {
    const backend = await reference();
    const model = new Model(backend);
    const report = await quantizeModel(model);
    expect(report.paths).toEqual(Array.from({ length: depth }, (_, i) => `${i}.proj`));
    expect(report.weights).toBe(depth * features * features);
    for (const [i, layer] of model.proj.entries()) {
      const { data } = weightOf(`proj ${i}`, features);
      expect(await (layer.weight as FrozenWeight).host()).toEqual(
        quantize4bit(data as Float32Array, [features, features]),
      );
    }
    expect(model.head.weight).toBe(model.embedding.weight);
    // The reference holds plain numbers in float64.
    expect(backend.memory().liveBytes).toBe(report.bytes + 8 * vocabulary * features);
  });

  it('never holds a layer twice on the backend', async () => {
    const backend = await reference();
    const model = new Model(backend);
    const before = backend.memory().liveBytes;
    backend.resetPeak();
    await quantizeModel(model);
    expect(backend.memory().peakBytes).toBe(before);
  });

  it('keeps tied weights tied, and frees the one before when the last has changed', async () => {
    const backend = await reference();
    const model = new Model(backend);
    await quantizeModel(model, { targetModules: ['lm_head', 'embed_tokens'], format: 'fp4' });
    const weight = model.head.weight as FrozenWeight;
    expect(weight).toBe(model.embedding.weight);
    expect(weight.format).toBe('fp4');
    const { byteLength } = (await weight.host()).data;
    expect(backend.memory().liveBytes).toBe(byteLength + 8 * depth * features * features);
  });

  it('leaves a tied weight to the module that is not quantized', async () => {
    const backend = await reference();
    const model = new Model(backend);
    await quantizeModel(model, { targetModules: ['lm_head'] });
    const head = await (model.head.weight as FrozenWeight).host();
    const { data } = weightOf('table', vocabulary);
    expect(head.format).toBe('nf4');
    expect((await (model.embedding.weight as FrozenWeight).host()).format).toBe('f32');
    const expected = decodeArray(quantize4bit(data as Float32Array, [vocabulary, features]));
    expect(decodeArray(head)).toEqual(expected);
  });

  it('leaves what is in 4 bits already', async () => {
    const model = new Model(await reference());
    await quantizeModel(model, { format: 'fp4' });
    const weights = model.proj.map(({ weight }) => weight);
    expect(await quantizeModel(model)).toMatchObject({ weights: 0, bytes: 0 });
    expect(model.proj.map(({ weight }) => weight)).toEqual(weights);
  });

  it('refuses layers with an adapter or a trainable weight, and changes nothing then', async () => {
    const backend = await reference();
    const model = new Model(backend);
    const adapter = await inject(model, pair({ targetModules: ['3.proj'] }));
    await expect(quantizeModel(model)).rejects.toMatchObject({ code: 'ADAPTER_SITE', path: '3.proj' });
    adapter.eject();
    const trainable = keep(tensor(backend, new Float32Array(features ** 2), [features, features]));
    model.proj[2]!.replaceWeight(trainable).dispose();
    await expect(quantizeModel(model)).rejects.toMatchObject({ code: 'ADAPTER_SITE', path: '2.proj' });
    expect((model.proj[0]!.weight as FrozenWeight).format).toBe('f32');
  });

  it('refuses modules that are not there', async () => {
    const model = new Model(await reference());
    await expect(quantizeModel(model, { targetModules: ['q_proj'] })).rejects.toMatchObject({ code: 'CORE_NO_TARGET' });
    await expect(quantizeModel(model, { blockSize: 16 as never })).rejects.toMatchObject({ code: 'ADAPTER_CONFIG' });
  });
});
