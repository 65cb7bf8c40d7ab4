/** AdamW with 8-bit state, and LoRA+, on a real run: the embedded model learns names. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { lora } from '@lowrank/adapter-lora';
import { cpu } from '@lowrank/backend-cpu';
import { evaluateLoss, type Backend, type NamedArrays, type RunState, type RunStore } from '@lowrank/core';
import {
  evaluationSource,
  FileRunStore,
  fineTune,
  lossOf,
  readJsonLines,
  resolveModel,
  tokenizeRecords,
  type FineTuneOptions,
  type TrainedIds,
} from '@lowrank/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from './support/cli.ts';
import { openModel, type OpenModel } from './support/open-model.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

let backend: Backend;
let names: OpenModel;
let training: readonly TrainedIds[];
let heldOut: readonly TrainedIds[];

const dataFile = (name: string): string => fileURLToPath(new URL(`../examples/names/${name}`, import.meta.url));

beforeAll(async () => {
  backend = await cpu({ threads: 2 });
  names = await openModel((await resolveModel('names')).path, backend);
  const read = async (name: string): Promise<readonly TrainedIds[]> =>
    (await tokenizeRecords(readJsonLines(dataFile(name)), { tokenizer: names.tokenizer })).examples;
  training = await read('train.jsonl');
  heldOut = await read('test.jsonl');
});

afterAll(async () => {
  await names[Symbol.asyncDispose]();
  await backend.dispose();
});

interface Outcome {
  readonly losses: readonly number[];
  readonly heldOut: number;
  readonly adapter: ReadonlyMap<string, ArrayLike<number>>;
}

async function run(options: Partial<FineTuneOptions>): Promise<Outcome> {
  const losses: number[] = [];
  const { adapter } = await fineTune({
    model: names.model,
    // Wide enough that every A and B has the 4096 elements from which on moments take 8 bits.
    adapter: lora({ rank: 96, alpha: 96, targetModules: 'all-linear', excludeModules: ['lm_head'] }),
    examples: training,
    steps: 100,
    batchSize: 4,
    learningRate: 2e-3,
    seed: 3,
    onEvent: (event) => {
      if (event.type === 'step') losses.push(event.loss);
    },
    ...options,
  });
  try {
    const { loss } = await evaluateLoss(evaluationSource(heldOut, 16), lossOf(names.model));
    const values = new Map<string, ArrayLike<number>>();
    for (const [name, parameter] of adapter.parameters()) values.set(name, await parameter.data());
    return { losses, heldOut: loss, adapter: values };
  } finally {
    adapter.eject();
  }
}

/** Keeps the last state. */
function keeping(): RunStore & { state?: RunState } {
  const store: RunStore & { state?: RunState } = {
    write: async (_, state) => void (store.state = state),
    latest: async () => undefined,
    read: () => Promise.reject(new Error('nothing is read')),
  };
  return store;
}

const bytesOf = (arrays: NamedArrays): number =>
  [...arrays.values()].reduce((sum, { data }) => sum + data.byteLength, 0);

describe('100 steps on the embedded model', () => {
  const stores = { adamw: keeping(), adamw8bit: keeping() };
  const runs = {} as Record<'adamw' | 'adamw8bit' | 'loraPlus' | 'constant', Outcome>;

  beforeAll(async () => {
    for (const optimizer of ['adamw', 'adamw8bit'] as const) {
      runs[optimizer] = await run({ optimizer, store: stores[optimizer] });
    }
    runs.loraPlus = await run({ loraPlusRatio: 4, learningRate: 5e-4, steps: 50 });
    runs.constant = await run({ learningRate: 5e-4, steps: 50 });
  }, 300_000);

  // What 8 bits lose is noise of a few percent in the size of each element's step, so the run goes another way to the same
  // place: the paper finds 8-bit Adam's end results equal to 32-bit's. Seen here: 0.1 % apart.
  it('8-bit AdamW tracks 32-bit AdamW: the loss of the last steps and that of held-out names are within 1 %', () => {
    const last = ({ losses }: Outcome): number => losses.slice(-20).reduce((sum, loss) => sum + loss, 0) / 20;
    expect(last(runs.adamw)).toBeLessThan(0.8 * runs.adamw.losses[0]!);
    expect(Math.abs(last(runs.adamw8bit) / last(runs.adamw) - 1)).toBeLessThan(0.01);
    expect(Math.abs(runs.adamw8bit.heldOut / runs.adamw.heldOut - 1)).toBeLessThan(0.01);
    // It is another optimizer nonetheless.
    expect(runs.adamw8bit.adapter).not.toEqual(runs.adamw.adapter);
  });

  it('its state is a quarter of 32-bit’s', () => {
    const [plain, coded] = [stores.adamw.state!.moments, stores.adamw8bit.state!.moments];
    expect([...coded.keys()].every((name) => /^(first|second)(Codes|Absmax)\//.test(name))).toBe(true);
    expect(bytesOf(coded) / bytesOf(plain)).toBeLessThan(0.255);
  });

  it('LoRA+ learns faster than LoRA at the same learning rate', () => {
    expect(runs.loraPlus.heldOut).toBeLessThan(runs.constant.heldOut);
  });
});

it('a run with 8-bit state that was killed resumes from its files with the same bits', async () => {
  await using folder = await temporaryFolder();
  const options = { optimizer: 'adamw8bit', steps: 12, saveEvery: 5 } as const;
  const whole = await run({ ...options, store: keeping() });
  const store = new FileRunStore(folder.file('run'));
  const controller = new AbortController();
  await run({
    ...options,
    store,
    signal: controller.signal,
    onEvent: (event) => {
      if (event.type === 'checkpoint') controller.abort();
    },
  });
  expect(await store.latest()).toBe('checkpoint-5');
  const resumed = await run({ ...options, store, resume: true });
  expect(resumed.adapter).toEqual(whole.adapter);
});

it('the command line takes both', async () => {
  await using folder = await temporaryFolder();
  const output = folder.file('adapter.gguf');
  const options = ['--optimizer', 'adamw8bit', '--loraplus-lr-ratio', '16', '--steps', '1', '--batch-size', '1'];
  const result = await runCli(['train', '-m', 'names', '-d', dataFile('train.jsonl'), '-o', output, ...options]);
  expect(result.stderr).toBe('');
  expect(result.code).toBe(0);
  expect(JSON.parse(await readFile(`${output}.run/checkpoint-1/state.json`, 'utf8'))).toMatchObject({
    optimizer: { kind: 'adamw8bit' },
    configuration: { optimizer: 'adamw8bit', loraPlusRatio: 16 },
  });
});

it('an unknown optimizer, and LoRA+ without a B to speed up, are refused before anything is trained', async () => {
  await expect(run({ optimizer: 'lion' as 'adamw' })).rejects.toMatchObject({ code: 'MODELS_ARGUMENT' });
  await expect(run({ loraPlusRatio: 0 })).rejects.toMatchObject({ code: 'CORE_ARGUMENT' });
});
