/** The same 50 steps on the float64 reference and on the CPU engines, from the same seed with the same batches. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { lora } from '@lowrank/adapter-lora';
import { cpu } from '@lowrank/backend-cpu';
import { reference } from '@lowrank/conformance';
import type { Backend, RunStore } from '@lowrank/core';
import { fineTune, readJsonLines, resolveModel, tokenizeRecords, writeAdapterGguf } from '@lowrank/models';
import { beforeAll, describe, expect, it } from 'vitest';
import { openModel } from './support/open-model.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

const steps = 50;
const data = fileURLToPath(new URL('../examples/names/train.jsonl', import.meta.url));

/** The CPU engines, with different numbers of threads; and the reference that judges them. */
const backends = {
  // Weights decoded: plain products are its fastest.
  reference: () => reference({ blockFormats: [] }),
  native: () => cpu({ engine: 'native', threads: 2 }),
  'native, one thread': () => cpu({ engine: 'native', threads: 1 }),
  wasm: () => cpu({ engine: 'wasm', threads: 2 }),
  'wasm without shared memory': () => cpu({ engine: 'wasm-unshared' }),
} satisfies Record<string, () => Promise<Backend>>;

type Name = keyof typeof backends;

interface Run {
  /** Of each step. */
  readonly losses: readonly number[];
  /** The adapter's file. */
  readonly adapter: Uint8Array;
  /** Bytes that live after every second step, while nothing runs. */
  readonly liveBytes: readonly number[];
  readonly fused: boolean;
}

async function run(name: Name): Promise<Run> {
  const backend: Backend = await backends[name]();
  try {
    return await trainOn(backend);
  } finally {
    await backend.dispose();
  }
}

async function trainOn(backend: Backend): Promise<Run> {
  await using folder = await temporaryFolder();
  await using names = await openModel((await resolveModel('names')).path, backend);
  const { examples } = await tokenizeRecords(readJsonLines(data), { tokenizer: names.tokenizer });
  const losses: number[] = [];
  const liveBytes: number[] = [];
  const { adapter } = await fineTune({
    model: names.model,
    adapter: lora({ rank: 8, alpha: 16, targetModules: 'all-linear', excludeModules: ['lm_head'] }),
    examples,
    steps,
    batchSize: 2,
    learningRate: 1e-3,
    schedule: 'constant',
    warmup: 0,
    shuffle: false,
    seed: 1,
    onEvent: (event) => {
      if (event.type === 'step') losses.push(event.loss);
    },
    store: measuring(() => liveBytes.push(backend.memory().liveBytes)),
    saveEvery: 2,
  });
  const path = folder.file('adapter.gguf');
  await writeAdapterGguf(path, names.model, adapter);
  return { losses, adapter: await readFile(path), liveBytes, fused: backend.supports.fusedMultiplyAdd };
}

/** A store that keeps nothing: the trainer turns to it when a step is done and the next has not begun. */
function measuring(measure: () => void): RunStore {
  return {
    write: async () => measure(),
    latest: async () => undefined,
    read: () => Promise.reject(new Error('nothing is kept')),
  };
}

const runs = {} as Record<Name, Run>;
const engines = Object.keys(backends).filter((name) => name !== 'reference') as Name[];

beforeAll(async () => {
  for (const name of Object.keys(backends) as Name[]) runs[name] = await run(name);
}, 300_000);

describe('50 steps of LoRA on the embedded model', () => {
  it('learn something', () => {
    const { losses } = runs.reference;
    expect(losses).toHaveLength(steps);
    expect(losses.at(-1)).toBeLessThan(0.7 * losses[0]!);
  });

  // The difference of one step is about 1e-7 (f32 against f64); 50 small steps amplify it to some 2e-6. 1e-4 is fifty times that
  // and far below what a wrong gradient would do.
  it.each(engines)("%s: every loss is the reference's within 1e-4", (name) => {
    const differences = runs[name].losses.map((loss, i) => Math.abs(loss / runs.reference.losses[i]! - 1));
    expect(differences).toHaveLength(steps);
    expect(Math.max(...differences)).toBeLessThan(1e-4);
  });

  it('engines that fuse multiply-adds write the same adapter, byte for byte', () => {
    const fused = engines.filter((name) => runs[name].fused);
    expect(fused).toContain('native');
    for (const name of fused) expect(Buffer.compare(runs[name].adapter, runs.native.adapter), name).toBe(0);
  });

  it.each(Object.keys(backends) as Name[])('%s: as many bytes live after 50 steps as after two', (name) => {
    const { liveBytes } = runs[name];
    expect(liveBytes).toHaveLength(steps / 2);
    expect(liveBytes[0]).toBeGreaterThan(0);
    expect(liveBytes.at(-1)).toBe(liveBytes[0]);
  });
});
