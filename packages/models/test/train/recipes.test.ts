import { fileURLToPath } from 'node:url';
import { reference } from '@lowrank/conformance';
import { backward, evaluateLoss, inject, parameterCounts, scope, Tensor } from '@lowrank/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { batchLoss, loadCausalLm } from '../../src/causal-lm/index.ts';
import type { TrainedIds } from '../../src/chat/index.ts';
import { makeBatch, readJsonLines, tokenizeRecords } from '../../src/data/index.ts';
import { tokenizerFromGguf } from '../../src/tokenizer/index.ts';
import { evaluationSource, fineTune, fullFineTuning, headOnly, lossOf } from '../../src/train/index.ts';
import { logitsOf, openNames, type Opened } from '../support/open.ts';

let names: Opened;
let examples: readonly TrainedIds[];
beforeAll(async () => {
  names = await openNames();
  const data = fileURLToPath(new URL('../../../../examples/names/train.jsonl', import.meta.url));
  ({ examples } = await tokenizeRecords(readJsonLines(data), { tokenizer: tokenizerFromGguf(names.file.metadata) }));
});
afterAll(() => names[Symbol.asyncDispose]());

const lossNow = async (): Promise<number> =>
  (await evaluateLoss(evaluationSource(examples.slice(0, 40), 8), lossOf(names.model))).loss;

describe.each([
  ['headOnly', headOnly],
  ['fullFineTuning', fullFineTuning],
] as const)('%s', (_, recipe) => {
  it('lowers the loss, and taken off leaves the model as it was, bit for bit', async () => {
    const { model } = names;
    const before = { loss: await lossNow(), logits: await logitsOf(model, Int32Array.of(1, 2, 3)) };
    const live = model.backend.memory().liveBytes;
    const { adapter } = await fineTune({ model, adapter: recipe(), examples, steps: 20, learningRate: 2e-3 });
    expect(await lossNow()).toBeLessThan(0.9 * before.loss);
    adapter.eject();
    expect(await logitsOf(model, Int32Array.of(1, 2, 3))).toEqual(before.logits);
    expect(model.backend.memory().liveBytes).toBe(live);
  });
});

it('headOnly trains a table of its own, even where the head is tied; full fine-tuning keeps the tie', async () => {
  const { model } = names;
  const { hiddenSize, vocabularySize } = model.config;
  expect(model.tied).toBe(true);
  const head = await inject(model, headOnly());
  expect(parameterCounts(model).trainable).toBe(vocabularySize * hiddenSize);
  expect([...head.parameters().keys()]).toEqual(['lm_head.weight']);
  head.eject();
  const all = await inject(model, fullFineTuning());
  const { trainable, total } = parameterCounts(model);
  expect(trainable).toBe(total);
  expect([...model.allWeights()].every(([, weight]) => weight instanceof Tensor && weight.requiresGrad)).toBe(true);
  expect(all.parameters().has('model.embed_tokens.weight')).toBe(true);
  expect(all.parameters().has('lm_head.weight')).toBe(false);
  all.eject();
});

it("full fine-tuning's gradients are the derivatives of the loss, in float64", async () => {
  const backend = await reference();
  const model = await loadCausalLm(names.file, backend);
  const injected = await inject(model, fullFineTuning());
  const batch = makeBatch(examples.slice(0, 2));
  const loss = async (): Promise<number> => {
    const sum = scope(() => batchLoss(model, batch));
    const value = await sum.item();
    sum.dispose();
    return value;
  };
  scope(() => backward(batchLoss(model, batch)));
  // One place in each kind of weight: a table that is tied, a norm, a projection, the last norm.
  for (const path of ['embed_tokens', 'layers.0.input_layernorm', 'layers.1.mlp.down_proj', 'norm']) {
    const parameter = injected.parameters().get(`model.${path}.weight`)!;
    const gradient = (await parameter.grad!.data())[200 % parameter.size]!;
    const values = Float64Array.from(await parameter.data());
    const at = async (change: number): Promise<number> => {
      const moved = values.slice();
      moved[200 % parameter.size]! += change;
      const storage = backend.upload(moved, 'f32');
      backend.kernels.writeSlice(parameter.storage, [parameter.size], storage, [0], [parameter.size]);
      backend.free(storage);
      return loss();
    };
    const h = 1e-4;
    // Central differences of a smooth function: h^2 times its third derivative, which is of the order of 10 here.
    const difference = ((await at(h)) - (await at(-h))) / (2 * h);
    await at(0);
    expect(Math.abs(gradient - difference)).toBeLessThan(1e-6 * (1 + Math.abs(difference)));
  }
  injected.eject();
  model.dispose();
  await backend.dispose();
});
