import { fileURLToPath } from 'node:url';
import { lora, type LoraOptions } from '@lowrank/adapter-lora';
import { inject, type RunState, type RunStore, type TrainEvent } from '@lowrank/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TrainedIds } from '../../src/chat/index.ts';
import { readJsonLines, tokenizeRecords } from '../../src/data/index.ts';
import { tokenizerFromGguf } from '../../src/tokenizer/index.ts';
import { fineTune, type FineTuneOptions } from '../../src/train/index.ts';
import { logitsOf, openNames, type Opened } from '../support/open.ts';

let names: Opened;
let examples: readonly TrainedIds[];
beforeAll(async () => {
  names = await openNames();
  const data = fileURLToPath(new URL('../../../../examples/names/train.jsonl', import.meta.url));
  const tokenizer = tokenizerFromGguf(names.file.metadata);
  ({ examples } = await tokenizeRecords(readJsonLines(data), { tokenizer }));
});
afterAll(() => names[Symbol.asyncDispose]());

/** States in memory, as they were handed over. */
function memoryStore(): RunStore & { readonly states: Map<string, RunState> } {
  const states = new Map<string, RunState>();
  return {
    states,
    write: async (name, state) => void states.set(name, state),
    latest: async () => [...states.keys()].at(-1),
    read: async (name) => states.get(name)!,
  };
}

interface Outcome {
  readonly parameters: ReadonlyMap<string, unknown>;
  readonly losses: readonly number[];
  readonly events: readonly TrainEvent[];
}

/** Trains on the embedded model with rank 4, takes the adapter off again and gives what it had learned. */
async function trained(options: Partial<FineTuneOptions>, adapter: LoraOptions = {}): Promise<Outcome> {
  const events: TrainEvent[] = [];
  const result = await fineTune({
    model: names.model,
    adapter: lora({ rank: 4, targetModules: ['q_proj', 'v_proj', 'down_proj'], ...adapter }),
    examples,
    learningRate: 5e-3,
    onEvent: (event) => void events.push(event),
    ...options,
  });
  const parameters = new Map<string, unknown>();
  for (const [name, parameter] of result.adapter.parameters()) parameters.set(name, await parameter.data());
  result.adapter.eject();
  const losses = events.flatMap((event) => (event.type === 'step' ? [event.loss] : []));
  return { parameters, losses, events };
}

const THREE = Int32Array.of(1, 2, 3);

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

describe('fineTune', () => {
  it('lowers the loss, in training and on examples that it does not see', async () => {
    const [seen, held] = [examples.slice(0, 360), examples.slice(360)];
    const { losses, events } = await trained({ examples: seen, validation: held, steps: 60, evalEvery: 20 });
    expect(losses).toHaveLength(60);
    // The base model knows names but not this task: it starts above 2 and comes below 1.5 within a minute's work.
    expect(mean(losses.slice(-10))).toBeLessThan(0.75 * mean(losses.slice(0, 5)));
    const evaluations = events.flatMap((event) => (event.type === 'eval' ? [event] : []));
    expect(evaluations.map(({ step }) => step)).toEqual([20, 40, 60]);
    expect(evaluations[2]!.loss).toBeLessThan(evaluations[0]!.loss);
  });

  it('gives the same bits for the same seed, others for another', async () => {
    const run = (seed: number) => trained({ seed, steps: 4 }, { dropout: 0.1 });
    const [first, second, other] = [await run(1), await run(1), await run(2)];
    expect(second.parameters).toEqual(first.parameters);
    expect(second.losses).toEqual(first.losses);
    expect(other.parameters).not.toEqual(first.parameters);
  });

  it('resumed from any checkpoint ends with the same bits as uninterrupted', async () => {
    const options = {
      examples: examples.slice(0, 22),
      batchSize: 4,
      gradientAccumulation: 2,
      epochs: 3,
      saveEvery: 2,
      seed: 5,
    };
    const store = memoryStore();
    const whole = await trained({ ...options, store }, { dropout: 0.2 });
    // Six batches make three steps an epoch; checkpoints fall into the middle of epochs, too.
    expect([...store.states.keys()]).toEqual([
      'checkpoint-2',
      'checkpoint-4',
      'checkpoint-6',
      'checkpoint-8',
      'checkpoint-9',
    ]);
    for (const [name, state] of store.states) {
      const from = memoryStore();
      from.states.set(name, state);
      const resumed = await trained({ ...options, store: from, resume: true }, { dropout: 0.2 });
      expect(resumed.parameters, name).toEqual(whole.parameters);
      expect(resumed.losses, name).toEqual(whole.losses.slice(state.manifest.step));
      expect(from.states.get('checkpoint-9')!.moments, name).toEqual(store.states.get('checkpoint-9')!.moments);
    }
  });

  it('stopped by its signal saves, and goes on with the same bits', async () => {
    const whole = await trained({ steps: 6 });
    const store = memoryStore();
    const controller = new AbortController();
    const onEvent = ({ type }: TrainEvent): void => void (type === 'step' && controller.abort());
    await trained({ steps: 6, store, signal: controller.signal, onEvent });
    const [stopped] = store.states.values();
    expect(stopped!.manifest.step).toBeLessThan(6);
    expect((await trained({ steps: 6, store, resume: true })).parameters).toEqual(whole.parameters);
  });

  it('takes epochs as that many passes over all batches', async () => {
    const some = examples.slice(0, 22);
    const run = async (options: Partial<FineTuneOptions>) =>
      (await trained({ examples: some, batchSize: 4, ...options })).events;
    const steps = (events: readonly TrainEvent[]) =>
      events.flatMap((event) => (event.type === 'step' ? [event.epoch] : []));
    expect(steps(await run({ epochs: 2 }))).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
    expect(steps(await run({ epochs: 2, gradientAccumulation: 4 }))).toEqual([0, 0, 1, 1]);
    expect(steps(await run({ epochs: 9, steps: 3 }))).toEqual([0, 0, 0]);
  });

  it('learns from two batches of four as from one of eight', async () => {
    const run = (batchSize: number, gradientAccumulation: number) =>
      trained({
        examples: examples.slice(0, 16),
        batchSize,
        gradientAccumulation,
        steps: 2,
        schedule: 'constant',
        warmup: 0,
      });
    const [one, two] = [await run(8, 1), await run(4, 2)];
    expect(one.losses).toHaveLength(2);
    for (const [i, loss] of one.losses.entries()) {
      // Sums of some hundred f32 terms in another order: about sqrt(200) * 2^-24 of them, and a step's change of as little.
      expect(Math.abs(two.losses[i]! - loss)).toBeLessThan(1e-5 * loss);
    }
    const plain = await run(4, 1);
    expect(Math.abs(plain.losses[0]! - one.losses[0]!)).toBeGreaterThan(1e-3 * one.losses[0]!);
  });

  it('gives the same bits with gradient checkpointing', async () => {
    const run = (gradientCheckpointing: boolean) => trained({ steps: 3, gradientCheckpointing }, { dropout: 0.1 });
    expect((await run(true)).parameters).toEqual((await run(false)).parameters);
  });

  it('goes on with an adapter that is there already, and leaves it on the model', async () => {
    const adapter = await inject(names.model, lora({ rank: 2 }), { seed: 3 });
    const before = await logitsOf(names.model, THREE);
    const result = await fineTune({ model: names.model, adapter, examples, steps: 2, learningRate: 1e-2 });
    expect(result.adapter).toBe(adapter);
    expect(await logitsOf(names.model, THREE)).not.toEqual(before);
    adapter.eject();
  });

  it('keeps nothing on the backend but the adapter', async () => {
    const { backend } = names;
    await trained({ steps: 2 });
    const { liveBytes } = backend.memory();
    await trained({ steps: 3, validation: examples.slice(0, 5), store: memoryStore() });
    expect(backend.memory().liveBytes).toBe(liveBytes);
  });

  it.each<readonly [string, Partial<FineTuneOptions>, string, RegExp]>([
    ['nothing to resume from', { resume: true, store: memoryStore() }, 'MODELS_STATE', /no checkpoint/],
    ['a resume without a store', { resume: true }, 'MODELS_STATE', /no checkpoint/],
    ['no examples', { examples: [] }, 'CORE_ARGUMENT', /no data/],
    ['batches of nothing', { batchSize: 0 }, 'CORE_ARGUMENT', /batchSize is 0/],
    ['no steps', { steps: 0 }, 'CORE_ARGUMENT', /steps is 0/],
    ['targets that are nowhere', { adapter: lora({ targetModules: ['query'] }) }, 'CORE_NO_TARGET', /query/],
    ['a diverging run', { learningRate: 3e38, maxGradNorm: 0, steps: 5, warmup: 0 }, 'CORE_NOT_FINITE', /step \d/],
  ])('refuses %s and leaves the model as it was', async (_, options, code, says) => {
    const { model, backend } = names;
    const before = await logitsOf(model, THREE);
    const { liveBytes } = backend.memory();
    const refused = expect.objectContaining({ code, message: expect.stringMatching(says) as string }) as Error;
    await expect(trained(options)).rejects.toEqual(refused);
    expect(backend.memory().liveBytes).toBe(liveBytes);
    expect(await logitsOf(model, THREE)).toEqual(before);
  });

  it.each<readonly [string, Partial<FineTuneOptions>, LoraOptions, RegExp]>([
    ['other data', { examples: [] }, {}, /configuration\.data/],
    ['another rank', {}, { rank: 2 }, /configuration\.adapter\.rank was 4 .* is 2 now/],
    ['another batch size', { batchSize: 4 }, {}, /configuration\.batchSize/],
    ['another seed', { seed: 1 }, {}, /seed was 0 .* is 1 now/],
    ['another learning rate', { learningRate: 1e-4 }, {}, /learningRate/],
  ])('does not go on from a checkpoint with %s', async (_, change, adapter, says) => {
    const store = memoryStore();
    const some = examples.slice(0, 24);
    await trained({ examples: some, steps: 2, store });
    const options = { ...change, examples: change.examples === undefined ? some : examples.slice(1, 25) };
    const resumed = trained({ ...options, steps: 2, store, resume: true }, adapter);
    await expect(resumed).rejects.toEqual(
      expect.objectContaining({ code: 'CORE_STATE', message: expect.stringMatching(says) as string }) as Error,
    );
  });
});
