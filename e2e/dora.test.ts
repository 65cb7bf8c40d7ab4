/** DoRA on a whole model: trained, resumed, merged into a model file. */
import { fileURLToPath } from 'node:url';
import { dora } from '@lowrank/adapter-dora';
import { cpu } from '@lowrank/backend-cpu';
import type { Backend, InjectedAdapter, RunState, RunStore } from '@lowrank/core';
import {
  fineTune,
  generateTexts,
  readJsonLines,
  resolveModel,
  tokenizeRecords,
  writeAdapterGguf,
  writeMergedGguf,
  type TrainedIds,
} from '@lowrank/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openModel, type OpenModel } from './support/open-model.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

let backend: Backend;
let names: OpenModel;
let examples: readonly TrainedIds[];

beforeAll(async () => {
  backend = await cpu({ threads: 2 });
  names = await openModel((await resolveModel('names')).path, backend);
  const data = fileURLToPath(new URL('../examples/names/train.jsonl', import.meta.url));
  ({ examples } = await tokenizeRecords(readJsonLines(data), { tokenizer: names.tokenizer }));
});

afterAll(async () => {
  await names[Symbol.asyncDispose]();
  await backend.dispose();
});

async function train(options: { steps: number; store?: RunStore; resume?: boolean }): Promise<InjectedAdapter> {
  const { adapter } = await fineTune({
    model: names.model,
    adapter: dora({ rank: 4, dropout: 0.1, targetModules: 'all-linear' }),
    examples,
    batchSize: 2,
    learningRate: 1e-2,
    schedule: 'constant',
    saveEvery: 4,
    seed: 3,
    ...options,
  });
  return adapter;
}

async function valuesOf(adapter: InjectedAdapter): Promise<Map<string, unknown>> {
  const values = new Map<string, unknown>();
  for (const [name, parameter] of adapter.parameters()) values.set(name, await parameter.data());
  return values;
}

/** Checkpoints in memory; with `upTo`, as if the run had been killed right after that one. */
function memoryStore(states: Map<string, RunState>, upTo = Infinity): RunStore {
  return {
    write: async (name, state) => {
      if (states.size < upTo) states.set(name, state);
    },
    latest: async () => [...states.keys()].at(-1),
    read: async (name) => states.get(name)!,
  };
}

describe('DoRA on the embedded model', () => {
  it('resumed from a checkpoint ends with the same bits as uninterrupted', async () => {
    const states = new Map<string, RunState>();
    const whole = await train({ steps: 12, store: memoryStore(states, 2) });
    const expected = await valuesOf(whole);
    whole.eject();
    expect([...states.keys()]).toEqual(['checkpoint-4', 'checkpoint-8']);
    const resumed = await train({ steps: 12, store: memoryStore(states), resume: true });
    expect([...expected.keys()].filter((name) => name.endsWith('.magnitude'))).not.toHaveLength(0);
    expect(await valuesOf(resumed)).toEqual(expected);
    resumed.eject();
  });

  it('says the same live, merged, and from a merged model file; llama.cpp’s adapter files cannot hold it', async () => {
    await using folder = await temporaryFolder();
    const prompts = ['A:', 'M:', 'Z:'].map((text) => names.tokenizer.encode(text));
    const answers = (model: OpenModel) => generateTexts(model.model, model.tokenizer, prompts, { maxTokens: 16 });
    const base = await answers(names);
    const adapter = await train({ steps: 40 });
    const live = await answers(names);
    expect(live).not.toEqual(base);
    await expect(writeAdapterGguf(folder.file('adapter.gguf'), names.model, adapter)).rejects.toMatchObject({
      code: 'ADAPTER_UNSUPPORTED',
      message: expect.stringContaining('merge it into the model'),
    });
    await writeMergedGguf(folder.file('merged.gguf'), names.file, names.model, { adapter, type: 'f32' });
    await using written = await openModel(folder.file('merged.gguf'), backend);
    expect(await answers(written)).toEqual(live);
    await adapter.merge();
    expect(await answers(names)).toEqual(live);
    adapter.eject();
    expect(await answers(names)).toEqual(base);
  });
});
