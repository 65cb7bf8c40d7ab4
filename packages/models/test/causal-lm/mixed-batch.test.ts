/** One batch whose sequences go through different adapters: the loss, its gradients, and generated tokens. */
import { lora } from '@lowrank/adapter-lora';
import { adapterRows, backward, inject, type ForwardPass, type InjectedAdapter } from '@lowrank/core';
import { expect, it } from 'vitest';
import { batchLoss, type CausalLm } from '../../src/causal-lm/index.ts';
import { makeBatch } from '../../src/data/index.ts';
import { generateTokens } from '../../src/generate/index.ts';
import { open, stir } from '../support/open.ts';
import { someTokens, tinyLlama } from '../support/tiny-llama.ts';

const targetModules = ['q_proj', 'down_proj', 'embed_tokens', 'lm_head'];
const still: ForwardPass = { training: false, seed: 0, step: 0 };
const examples = [9, 5, 12, 7].map((length, i) => ({
  ids: someTokens(length, 40, `example ${i}`),
  trained: new Uint8Array(length).fill(1, 2),
}));
const names = ['one', 'two', undefined, 'one'] as const;

async function twoAdapters(model: CausalLm): Promise<InjectedAdapter[]> {
  const adapters: InjectedAdapter[] = [];
  for (const [seed, name] of ['one', 'two'].entries()) {
    const adapter = await inject(model, lora({ rank: 2, alpha: 8, targetModules }), { name, seed });
    await stir(adapter, 0.3 + seed);
    adapters.push(adapter);
  }
  return adapters;
}

/** Loss and gradients, as `<adapter>/<parameter>`. */
async function run(model: CausalLm, adapters: InjectedAdapter[], some: typeof examples, pass: ForwardPass) {
  const batch = makeBatch(some);
  const loss = batchLoss(model, batch, { pass, gradientCheckpointing: true });
  backward(loss);
  const found = new Map<string, number[]>([['loss', [await loss.item()]]]);
  loss.dispose();
  for (const adapter of adapters) {
    for (const [name, parameter] of adapter.parameters()) {
      if (parameter.grad === undefined) continue;
      found.set(`${adapter.name}/${name}`, Array.from(await parameter.grad.data()));
      parameter.grad = undefined;
    }
  }
  return found;
}

it('gives the losses and gradients that each sequence gives with its adapter alone', async () => {
  await using opened = await open(await tinyLlama(), 'reference');
  const { model } = opened;
  const adapters = await twoAdapters(model);
  const lengths = makeBatch(examples).lengths;
  const mixed = await run(model, adapters, examples, {
    ...still,
    adapterRows: adapterRows(model, [...lengths], names),
  });
  const expected = new Map<string, number[]>();
  for (const [i, example] of examples.entries()) {
    for (const adapter of adapters) adapter.setActive(adapter.name === names[i]);
    if (names[i] === undefined) continue;
    for (const [name, values] of await run(model, adapters, [example], still)) {
      expected.set(
        name,
        values.map((value, at) => value + (expected.get(name)?.[at] ?? 0)),
      );
    }
  }
  for (const adapter of adapters) adapter.setActive(false);
  const base = batchLoss(model, makeBatch([examples[2]!]), { pass: still });
  expected.get('loss')![0]! += await base.item();
  base.dispose();
  expect([...mixed.keys()].toSorted()).toEqual([...expected.keys()].toSorted());
  for (const [name, values] of expected) {
    values.forEach((value, at) => expect(mixed.get(name)![at], name).toBeCloseTo(value, 9));
  }
});

it('generates for each prompt what its adapter alone generates', async () => {
  await using opened = await open(await tinyLlama(), 'reference');
  const { model } = opened;
  const adapters = await twoAdapters(model);
  const prompts = examples.map(({ ids }) => ids);
  const generated = async (options: object): Promise<number[][]> => {
    const found: number[][] = prompts.map(() => []);
    for await (const { sequence, id } of generateTokens(model, prompts, { maxTokens: 6, temperature: 0, ...options })) {
      found[sequence]!.push(id);
    }
    return found;
  };
  const mixed = await generated({ adapters: names });
  await expect(generated({ adapters: ['one'] })).rejects.toMatchObject({ code: 'CORE_ARGUMENT' });
  const alone = new Map<string | undefined, number[][]>();
  for (const name of new Set(names)) {
    for (const adapter of adapters) adapter.setActive(adapter.name === name);
    alone.set(name, await generated({}));
  }
  names.forEach((name, i) => expect(mixed[i]).toEqual(alone.get(name)![i]));
  // Adapters that changed no token would show nothing.
  expect(alone.get('one')).not.toEqual(alone.get('two'));
});
