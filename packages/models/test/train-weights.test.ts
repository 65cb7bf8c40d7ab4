/** A model whose own weights are trained: `loadCausalLm(..., { trainable: true })`. */
import { reference } from '@lowrank/conformance';
import { backward, parameterCounts, scope, trainableParameters, type Backend, type Tensor } from '@lowrank/core';
import { openGguf } from '@lowrank/io-gguf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { batchLoss, embeddedModel, loadCausalLm, makeBatch, type CausalLm } from '../src/index.ts';

/** ` Jane` and ` Al` as bytes of the embedded model's vocabulary, all but the first trained. */
const batch = makeBatch(
  [
    [0, 77, 100, 113, 104, 0],
    [0, 68, 111, 0],
  ].map((ids) => ({ ids: Int32Array.from(ids), trained: Uint8Array.from(ids, (_, i) => (i > 0 ? 1 : 0)) })),
);

let backend: Backend;
let model: CausalLm;
let weights: Map<string, Tensor>;

beforeAll(async () => {
  backend = await reference();
  model = await loadCausalLm(await openGguf(await embeddedModel()), backend, { trainable: true });
  weights = trainableParameters(model);
});

afterAll(() => backend.dispose());

async function loss(): Promise<number> {
  const sum = scope(() => batchLoss(model, batch));
  const value = await sum.item();
  sum.dispose();
  return value;
}

/** The loss with one element of a weight changed by `change`. */
async function lossWith(weight: Tensor, at: number, change: number): Promise<number> {
  const write = async (by: number): Promise<void> => {
    const values = (await weight.data()) as Float64Array;
    const storage = backend.upload(Float64Array.of(values[at]! + by), 'f32');
    backend.kernels.writeSlice(weight.storage, [weight.size], storage, [at], [1]);
    backend.free(storage);
  };
  await write(change);
  const value = await loss();
  await write(-change);
  return value;
}

describe('a model loaded to be trained', () => {
  it('trains every weight, the tied table once', () => {
    expect(parameterCounts(model)).toEqual({ trainable: 431_232, total: 431_232 });
    expect([...weights.keys()]).not.toContain('lm_head.weight');
  });

  it('gets the gradients that central differences give, in every kind of weight', async () => {
    scope(() => {
      backward(batchLoss(model, batch));
      return undefined;
    });
    // In float64 with steps of 1e-5 central differences are good to about 1e-10 / 1e-5 + (1e-5)^2: far below 1e-5.
    const paths = ['model.embed_tokens', 'model.norm', ...layerPaths(0), ...layerPaths(3)].map(
      (path) => `${path}.weight`,
    );
    for (const path of paths) {
      const weight = weights.get(path)!;
      const gradient = (await weight.grad!.data()) as Float64Array;
      // Where the gradient is largest: elsewhere, as in rows of tokens that do not occur, it may be next to nothing.
      const at = gradient.reduce((most, value, i) => (Math.abs(value) > Math.abs(gradient[most]!) ? i : most), 0);
      const step = 1e-5;
      const expected = ((await lossWith(weight, at, step)) - (await lossWith(weight, at, -step))) / (2 * step);
      expect(Math.abs(gradient[at]! / expected - 1), path).toBeLessThan(1e-5);
    }
  });

  it('gives the same loss as the frozen one', async () => {
    const frozen = await loadCausalLm(await openGguf(await embeddedModel()), backend);
    const sum = scope(() => batchLoss(frozen, batch));
    expect(await sum.item()).toBe(await loss());
    frozen.dispose();
  });
});

function layerPaths(layer: number): string[] {
  const parts = ['input_layernorm', 'post_attention_layernorm'];
  parts.push(...['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((name) => `self_attn.${name}`));
  parts.push(...['gate_proj', 'up_proj', 'down_proj'].map((name) => `mlp.${name}`));
  return parts.map((part) => `model.layers.${layer}.${part}`);
}
