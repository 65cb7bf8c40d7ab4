/** 50 steps of the embedded model on the float64 reference and on other backends, from the same seed with the same batches. */
import { readFile } from 'node:fs/promises';
import { cpu } from '@lowrank/backend-cpu';
import { reference } from '@lowrank/conformance';
import {
  noGrad,
  scope,
  type Backend,
  type ConfiguredAdapter,
  type InjectedAdapter,
  type RunStore,
} from '@lowrank/core';
import { generateTokens, resolveModel, type CausalLm } from '@lowrank/models';
import { beforeAll, describe, expect, it } from 'vitest';
import { backends, type BackendName } from '../support/backends.ts';
import { fiftySteps, steps } from '../support/fifty-steps.ts';
import { openModel, type OpenModel } from '../support/open-model.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** Steps between looks at memory: each reads back all that a checkpoint holds. */
const measureEvery = 10;
/** Twenty letters of the alphabet: the model's task. */
const prompts = Array.from('ABCDEFGHIJKLMNOPRSTW', (letter) => `${letter}:`);

const runners = {
  ...backends,
  'cpu:native, one thread': () => cpu({ engine: 'native', threads: 1 }),
  // Weights decoded: plain products are its fastest.
  reference: () => reference({ blockFormats: [] }),
} satisfies Record<string, () => Promise<Backend>>;

export type RunnerName = Exclude<keyof typeof runners, 'reference'>;

/** The CPU engines, with different numbers of threads. */
export const cpuEngines: readonly RunnerName[] = [
  'cpu:native',
  'cpu:native, one thread',
  'cpu:wasm',
  'cpu:wasm-baseline',
  'cpu:wasm-unshared',
];

/** Those that run in Node besides. */
export const otherBackends: readonly BackendName[] = ['webgpu', 'tfjs:node', 'tfjs:wasm', 'tfjs:cpu'];

export interface Subject {
  readonly name: string;
  readonly configured: ConfiguredAdapter;
  /** Writes what was learned. */
  readonly write: (path: string, names: OpenModel, adapter: InjectedAdapter) => Promise<number>;
}

interface Run {
  /** Of each step. */
  readonly losses: readonly number[];
  /** Token ids of greedy continuations once trained. */
  readonly said: readonly (readonly number[])[];
  /** Of the reference: by how much each of them was the likeliest, as the logarithm of a ratio. */
  readonly margins: readonly (readonly number[])[];
  /** The file of what was learned. */
  readonly written: Uint8Array;
  /** Bytes that live after every `measureEvery` steps, while nothing runs. */
  readonly liveBytes: readonly number[];
  readonly fused: boolean;
}

async function trainOn(backend: Backend, { configured, write }: Subject): Promise<Run> {
  await using folder = await temporaryFolder();
  await using names = await openModel((await resolveModel('names')).path, backend);
  const { model, tokenizer } = names;
  const liveBytes: number[] = [];
  const { adapter, losses } = await fiftySteps(names, configured, {
    store: measuring(() => liveBytes.push(backend.memory().liveBytes)),
    saveEvery: measureEvery,
  });
  const ids = prompts.map((prompt) => tokenizer.encode(prompt, { addSpecial: false, parseSpecial: false }));
  const said = ids.map((): number[] => []);
  const stopIds = tokenizer.endOfTurnIds;
  for await (const { sequence, id } of generateTokens(model, ids, { maxTokens: 10, temperature: 0, stopIds })) {
    said[sequence]!.push(id);
  }
  const margins = [];
  if (backend.supports.precision === 'f64') {
    for (const [i, prompt] of ids.entries()) margins.push(await marginsOf(model, prompt, said[i]!));
  }
  const path = folder.file('learned.gguf');
  await write(path, names, adapter);
  return { losses, said, margins, written: await readFile(path), liveBytes, fused: backend.supports.fusedMultiplyAdd };
}

/** How far ahead of the second each continuation token was, and what stopped it after the last. */
async function marginsOf(model: CausalLm, prompt: Int32Array, said: readonly number[]): Promise<number[]> {
  const ids = Int32Array.of(...prompt, ...said);
  const positions = ids.map((_, i) => i);
  using logits = scope(() => noGrad(() => model.logits(model.hidden({ ids, positions, lengths: [ids.length] }))));
  const values = Array.from(await logits.data());
  const width = values.length / ids.length;
  return Array.from({ length: said.length + 1 }, (_, i) => {
    const row = (prompt.length - 1 + i) * width;
    const [first, second] = values.slice(row, row + width).toSorted((a, b) => b - a);
    return first! - second!;
  });
}

/** A store that keeps nothing: the trainer turns to it when a step is done and the next has not begun. */
function measuring(measure: () => void): RunStore {
  return {
    write: async () => measure(),
    latest: async () => undefined,
    read: () => Promise.reject(new Error('nothing is kept')),
  };
}

/** Defines the tests of one adapter on some backends. */
export function defineDrift(subject: Subject, names: readonly RunnerName[]): void {
  describe(`50 steps of ${subject.name} on the embedded model`, () => {
    const runs = {} as Record<RunnerName | 'reference', Run>;
    beforeAll(async () => {
      for (const name of ['reference', ...names] as const) {
        const backend: Backend = await runners[name]();
        try {
          runs[name] = await trainOn(backend, subject);
        } finally {
          await backend.dispose();
        }
      }
    }, 1_200_000);

    it('learn something', () => {
      const { losses } = runs.reference;
      expect(losses).toHaveLength(steps);
      expect(losses.at(-1)).toBeLessThan(0.7 * losses[0]!);
      expect(new Set(runs.reference.said.map(String)).size).toBeGreaterThan(prompts.length / 2);
    });

    // The difference of one step is about 1e-7 (f32 against f64); 50 small steps amplify it to some 2e-6. 1e-4 is fifty
    // times that and far below what a wrong gradient would do.
    it.each(names)("%s: every loss is the reference's within 1e-4", (name) => {
      const differences = runs[name].losses.map((loss, i) => Math.abs(loss / runs.reference.losses[i]! - 1));
      expect(differences).toHaveLength(steps);
      expect(Math.max(...differences)).toBeLessThan(1e-4);
    });

    // A token is -log p dear, and losses are within 1e-4 of about 2.5: two tokens that are nearer to each other than twice that are
    // a draw, and what follows a draw may differ.
    it.each(names)('%s: continues 20 prompts as the reference does', (name) => {
      const { said, margins, losses } = runs.reference;
      const draw = 2 * 1e-4 * losses.at(-1)!;
      let whole = 0;
      for (const [i, expected] of said.entries()) {
        const own = runs[name].said[i]!;
        const until = margins[i]!.findIndex((margin) => margin < draw);
        if (until < 0) whole++;
        const compared = until < 0 ? Math.max(expected.length, own.length) : until;
        expect(own.slice(0, compared), prompts[i]).toEqual(expected.slice(0, compared));
      }
      expect(whole).toBeGreaterThanOrEqual(18);
    });

    it('engines that fuse multiply-adds write the same file, byte for byte', () => {
      const fused = names.filter((name) => runs[name].fused);
      expect(fused).toContain('cpu:native');
      for (const name of fused) expect(Buffer.compare(runs[name].written, runs['cpu:native'].written), name).toBe(0);
    });

    it.each(['reference', ...names] as const)('%s: as many bytes live after 50 steps as after ten', (name) => {
      const { liveBytes } = runs[name];
      expect(liveBytes).toHaveLength(steps / measureEvery);
      expect(liveBytes[0]).toBeGreaterThan(0);
      expect(liveBytes.at(-1)).toBe(liveBytes[0]);
    });
  });
}
