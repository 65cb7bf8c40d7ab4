/** The same 50 steps on the float64 reference and on the CPU engines, from the same seed with the same batches. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { dora } from '@lowrank/adapter-dora';
import { lora } from '@lowrank/adapter-lora';
import { qlora } from '@lowrank/adapter-qlora';
import { cpu } from '@lowrank/backend-cpu';
import { reference } from '@lowrank/conformance';
import type { Backend, ConfiguredAdapter, InjectedAdapter, RunStore } from '@lowrank/core';
import {
  fineTune,
  readJsonLines,
  resolveModel,
  tokenizeRecords,
  writeAdapterGguf,
  writeMergedGguf,
} from '@lowrank/models';
import { beforeAll, describe, expect, it } from 'vitest';
import { openModel, type OpenModel } from './support/open-model.ts';
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

interface Subject {
  readonly name: string;
  readonly configured: ConfiguredAdapter;
  /** Writes what was learned. */
  readonly write: (path: string, names: OpenModel, adapter: InjectedAdapter) => Promise<number>;
}

const options = { rank: 8, alpha: 16, targetModules: 'all-linear', excludeModules: ['lm_head'] } as const;

const subjects: readonly Subject[] = [
  {
    name: 'LoRA',
    configured: lora(options),
    write: (path, { model }, adapter) => writeAdapterGguf(path, model, adapter),
  },
  {
    name: 'DoRA',
    configured: dora(options),
    write: (path, { file, model }, adapter) => writeMergedGguf(path, file, model, { adapter, type: 'f32' }),
  },
  {
    name: 'QLoRA',
    configured: qlora({ adapter: lora(options) }),
    write: (path, { model }, adapter) => writeAdapterGguf(path, model, adapter),
  },
  {
    name: 'QDoRA',
    configured: qlora({ adapter: dora(options) }),
    write: (path, { file, model }, adapter) => writeMergedGguf(path, file, model, { adapter, type: 'f32' }),
  },
];

interface Run {
  /** Of each step. */
  readonly losses: readonly number[];
  /** The file of what was learned. */
  readonly written: Uint8Array;
  /** Bytes that live after every second step, while nothing runs. */
  readonly liveBytes: readonly number[];
  readonly fused: boolean;
}

async function run(subject: Subject, name: Name): Promise<Run> {
  const backend: Backend = await backends[name]();
  try {
    return await trainOn(backend, subject);
  } finally {
    await backend.dispose();
  }
}

async function trainOn(backend: Backend, { configured, write }: Subject): Promise<Run> {
  await using folder = await temporaryFolder();
  await using names = await openModel((await resolveModel('names')).path, backend);
  const { examples } = await tokenizeRecords(readJsonLines(data), { tokenizer: names.tokenizer });
  const losses: number[] = [];
  const liveBytes: number[] = [];
  const { adapter } = await fineTune({
    model: names.model,
    adapter: configured,
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
  const path = folder.file('learned.gguf');
  await write(path, names, adapter);
  return { losses, written: await readFile(path), liveBytes, fused: backend.supports.fusedMultiplyAdd };
}

/** A store that keeps nothing: the trainer turns to it when a step is done and the next has not begun. */
function measuring(measure: () => void): RunStore {
  return {
    write: async () => measure(),
    latest: async () => undefined,
    read: () => Promise.reject(new Error('nothing is kept')),
  };
}

const engines = Object.keys(backends).filter((name) => name !== 'reference') as Name[];

describe.each(subjects)('50 steps of $name on the embedded model', (subject) => {
  const runs = {} as Record<Name, Run>;
  beforeAll(async () => {
    for (const name of Object.keys(backends) as Name[]) runs[name] = await run(subject, name);
  }, 300_000);

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

  it('engines that fuse multiply-adds write the same file, byte for byte', () => {
    const fused = engines.filter((name) => runs[name].fused);
    expect(fused).toContain('native');
    for (const name of fused) expect(Buffer.compare(runs[name].written, runs.native.written), name).toBe(0);
  });

  it.each(Object.keys(backends) as Name[])('%s: as many bytes live after 50 steps as after two', (name) => {
    const { liveBytes } = runs[name];
    expect(liveBytes).toHaveLength(steps / 2);
    expect(liveBytes[0]).toBeGreaterThan(0);
    expect(liveBytes.at(-1)).toBe(liveBytes[0]);
  });
});
