import {
  backward,
  Embedding,
  FrozenWeight,
  inject,
  linear,
  Module,
  scope,
  sum,
  tensor,
  type Linear,
} from '@lowrank/core';
import { reference } from '@lowrank/conformance';
import { describe, expect, it } from 'vitest';
import { lora, loraAdapter, loraScale } from '@lowrank/adapter-lora';

/*
 * By hand: W = [[1, 2, 3], [4, 5, 6]], b = [0.5, -0.5], x = [1, -1, 2]; A = [[1, 0, 2]], B = [[3], [-1]], s = 4 / 1.
 * W x + b = [5.5, 10.5]; A x = 5; s B A x = [60, -20]. For L = y0 + y1: dL/dB = s A x (1, 1) = [20, 20];
 * dL/dA = s (B0 + B1) x = 8 x = [8, -8, 16]; dL/dx = W^T (1, 1) + s (B0 + B1) A^T = [5, 7, 9] + [8, 0, 16] = [13, 7, 25].
 */
const weight = { values: [1, 2, 3, 4, 5, 6], shape: [2, 3] } as const;
const bias = [0.5, -0.5];
const x = [1, -1, 2];
const pair = {
  params: {
    A: { format: 'f32', shape: [1, 3], data: Float32Array.of(1, 0, 2) },
    B: { format: 'f32', shape: [2, 1], data: Float32Array.of(3, -1) },
  },
  buffers: {},
} as const;

describe('by hand', () => {
  it('adds s B A x to W x + b, and differentiates it', async () => {
    const backend = await reference();
    const layer = linear(backend, weight, bias);
    const wrapped = await lora.wrap(layer, { rank: 1, alpha: 4 });
    const input = tensor(backend, x, [3]);
    input.requiresGrad = true;
    expect([...(await wrapped.forward(input).data())]).toEqual([5.5, 10.5]);
    wrapped.adapter.load(new Map([['default', pair]]));
    expect([...(await wrapped.delta(input).data())]).toEqual([60, -20]);
    expect([...(await wrapped.forward(input).data())]).toEqual([65.5, -9.5]);
    backward(sum(wrapped.forward(input)));
    const gradients = [...wrapped.parameters().values()].map((param) => param.grad!.data());
    expect(await Promise.all(gradients)).toEqual([Float64Array.of(8, -8, 16), Float64Array.of(20, 20)]);
    expect(await input.grad!.data()).toEqual(Float64Array.of(13, 7, 25));
    await wrapped.merge();
    expect((await (layer.weight as FrozenWeight).host()).data).toEqual(Float64Array.of(13, 2, 27, 0, 5, -2));
    expect([...(await wrapped.forward(input).data())]).toEqual([65.5, -9.5]);
    wrapped.unmerge();
    wrapped.eject();
    expect([...(await layer.forward(input).data())]).toEqual([5.5, 10.5]);
  });

  it('changes rows of an embedding by s (B A)^T', async () => {
    // Vocabulary 2, dimension 3: row i becomes W_i + s A_i B^T = W_i + 0.5 [1, 2]_i [10, 20, 30].
    const backend = await reference();
    const layer = new Embedding(
      new FrozenWeight(backend, { format: 'f32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }),
    );
    const wrapped = await lora.wrap(layer, { rank: 1, alpha: 0.5 });
    const array = (shape: readonly number[], ...data: number[]) =>
      ({ format: 'f32', shape, data: Float32Array.from(data) }) as const;
    wrapped.adapter.load(
      new Map([['default', { params: { A: array([1, 2], 1, 2), B: array([3, 1], 10, 20, 30) }, buffers: {} }]]),
    );
    const ids = tensor(backend, Int32Array.of(1, 0), [2]);
    expect([...(await wrapped.forward(ids).data())]).toEqual([14, 25, 36, 6, 12, 18]);
    await wrapped.merge();
    expect([...(await wrapped.forward(ids).data())]).toEqual([14, 25, 36, 6, 12, 18]);
  });

  it('lora.delta is a plain function of tensors', async () => {
    const backend = await reference();
    const [A, B] = [tensor(backend, [1, 0, 2], [1, 3]), tensor(backend, [3, -1], [2, 1])];
    expect(await lora.delta(tensor(backend, x, [1, 1, 3]), { A, B, scale: 4 }).data()).toEqual(
      Float64Array.of(60, -20),
    );
    expect(await lora.delta(tensor(backend, x, [3]), { A, B }).data()).toEqual(Float64Array.of(15, -5));
    expect(() => lora.delta(tensor(backend, [1, 2], [2]), { A, B })).toThrow(
      expect.objectContaining({ code: 'CORE_SHAPE' }),
    );
    expect(() => lora.delta(tensor(backend, x, [3]), { A: B, B: A })).toThrow(
      expect.objectContaining({ code: 'CORE_SHAPE' }),
    );
  });
});

describe('scale', () => {
  it('is alpha / rank, and alpha / sqrt(rank) for rsLoRA', () => {
    expect(loraScale(lora().config)).toBe(1);
    expect(loraScale(lora({ rank: 16, alpha: 4 }).config)).toBe(0.25);
    expect(loraScale(lora({ rank: 16, alpha: 4, useRslora: true }).config)).toBe(1);
  });

  it('has PEFT’s defaults: rank 8, alpha 8 whatever the rank, q_proj and v_proj', () => {
    expect(lora().config).toEqual({
      rank: 8,
      alpha: 8,
      dropout: 0,
      useRslora: false,
      init: 'kaiming',
      targetModules: ['q_proj', 'v_proj'],
      excludeModules: [],
      rankPattern: {},
      alphaPattern: {},
      layersToTransform: [],
      layersPattern: [],
      modulesToSave: [],
      bias: 'none',
    });
    expect(lora({ rank: 64 }).config.alpha).toBe(8);
    expect(lora({ ...lora.recommendedDefaults }).config).toMatchObject({ rank: 8, alpha: 16 });
  });
});

describe('wrap and build', () => {
  it('say rank, alpha, scale, name and sizes', async () => {
    const backend = await reference();
    const wrapped = await lora.wrap(linear(backend, weight), { rank: 2, alpha: 3, name: 'mine' });
    const built = await lora.build(backend, { inFeatures: 3, outFeatures: 2, rank: 2, alpha: 3, name: 'mine' });
    for (const made of [wrapped, built]) {
      const { rank, alpha, scale, name, inFeatures, outFeatures } = made;
      expect({ rank, alpha, scale, name, inFeatures, outFeatures }).toEqual({
        rank: 2,
        alpha: 3,
        scale: 1.5,
        name: 'mine',
        inFeatures: 3,
        outFeatures: 2,
      });
      expect([...made.parameters()].map(([key, { shape, requiresGrad }]) => [key, shape, requiresGrad])).toEqual([
        ['A', [2, 3], true],
        ['B', [2, 2], true],
      ]);
    }
    expect(await wrapped.parameters().get('A')!.data()).toEqual(await built.parameters().get('A')!.data());
    wrapped.eject();
    built.dispose();
  });

  it('two adapters of different names lie on one layer', async () => {
    const backend = await reference();
    const layer = linear(backend, weight, bias);
    const [one, two] = [
      await lora.wrap(layer, { rank: 1, alpha: 4, name: 'one' }),
      await lora.wrap(layer, { rank: 1, alpha: 8, name: 'two' }),
    ];
    expect(await one.parameters().get('A')!.data()).not.toEqual(await two.parameters().get('A')!.data());
    one.adapter.load(new Map([['one', pair]]));
    two.adapter.load(new Map([['two', pair]]));
    const y = async (): Promise<number[]> => [...(await layer.forward(tensor(backend, x, [3])).data())];
    expect(await y()).toEqual([5.5 + 60 + 120, 10.5 - 20 - 40]);
    await one.merge();
    await two.merge();
    expect(await y()).toEqual([5.5 + 60 + 120, 10.5 - 20 - 40]);
    expect(() => one.unmerge()).toThrow(/unmerge that one first/);
    expect(() => one.eject()).toThrow(/unmerge that one first/);
    two.unmerge();
    one.unmerge();
    expect(await y()).toEqual([5.5 + 60 + 120, 10.5 - 20 - 40]);
    one.eject();
    expect(await y()).toEqual([5.5 + 120, 10.5 - 40]);
    await expect(lora.wrap(layer, { name: 'two' })).rejects.toThrow(/already/);
    two.eject();
    expect(await y()).toEqual([5.5, 10.5]);
  });

  it('drop elements of x in training passes alone', async () => {
    const backend = await reference();
    const built = await lora.build(backend, { inFeatures: 64, outFeatures: 1, rank: 1, alpha: 1, dropout: 0.5 });
    const { A, B } = { A: built.parameters().get('A')!, B: built.parameters().get('B')! };
    const ones = tensor(backend, new Float32Array(64).fill(1), [64]);
    backend.kernels.accumulate(B.storage, tensor(backend, [1], [1]).storage, 1);
    const all = Float64Array.from(await A.data()).reduce((total, value) => total + value, 0);
    expect(await built.delta(ones).item()).toBeCloseTo(all, 12);
    expect(await built.delta(ones, { training: true, seed: 1, step: 0 }).item()).not.toBeCloseTo(all, 3);
    built.dispose();
  });

  it('refuse options that are wrong', async () => {
    const backend = await reference();
    const layer = linear(backend, weight);
    await expect(lora.wrap(layer, { rank: 0 })).rejects.toMatchObject({
      code: 'ADAPTER_CONFIG',
      path: 'rank',
      value: 0,
      message: 'lora: rank is 0; give a whole number from 1 to 65536',
    });
    await expect(lora.wrap(layer, { name: '' })).rejects.toMatchObject({ code: 'CORE_ARGUMENT' });
    await expect(lora.build(backend, { inFeatures: 0, outFeatures: 2 })).rejects.toMatchObject({
      code: 'ADAPTER_CONFIG',
      path: 'inFeatures',
    });
    expect(() => lora({ alpha: Number.NaN })).toThrow('lora: alpha is NaN; give a finite number above 0');
    expect(() => lora({ rang: 8 } as object)).toThrow(
      "lora: 'rang' is not an option; there are rank, alpha, dropout, useRslora, init, targetModules, excludeModules, rankPattern, alphaPattern, layersToTransform, layersPattern, modulesToSave, bias",
    );
  });
});

class Block extends Module {
  readonly q: Linear;
  constructor(q: Linear, k: Linear) {
    super();
    this.q = this.child('self_attn.q_proj', q);
    this.child('self_attn.k_proj', k);
  }
}

describe('inject', () => {
  it('sits on the target modules alone and gives its parameters by path', async () => {
    const backend = await reference();
    const model = new Block(linear(backend, weight), linear(backend, weight));
    const adapter = await inject(model, lora({ rank: 2, targetModules: ['q_proj'] }));
    expect([...adapter.parameters().keys()]).toEqual(['self_attn.q_proj.A', 'self_attn.q_proj.B']);
    expect(adapter.configured.adapter).toBe(loraAdapter);
    const y = scope(() => model.q.forward(tensor(backend, x, [3])));
    expect(y.requiresGrad).toBe(true);
    await expect(inject(model, lora({ targetModules: ['o_proj'] }), { name: 'other' })).rejects.toMatchObject({
      code: 'CORE_NO_TARGET',
    });
  });
});
