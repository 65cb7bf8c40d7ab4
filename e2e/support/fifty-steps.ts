/** The training of the embedded model that is compared between backends. */
import { fileURLToPath } from 'node:url';
import type { ConfiguredAdapter, InjectedAdapter, RunStore } from '@lowrank/core';
import { fineTune, readJsonLines, tokenizeRecords } from '@lowrank/models';
import type { OpenModel } from './open-model.ts';

export const steps = 50;

/** All adapters' rank and targets. */
export const lowRank = { rank: 8, alpha: 16, targetModules: 'all-linear', excludeModules: ['lm_head'] } as const;

const data = fileURLToPath(new URL('../../examples/names/train.jsonl', import.meta.url));

interface Trained {
  readonly adapter: InjectedAdapter;
  /** Of each step. */
  readonly losses: readonly number[];
}

/** From one seed, with the same batches. */
export async function fiftySteps(
  { model, tokenizer }: OpenModel,
  adapter: ConfiguredAdapter,
  saving: { readonly store?: RunStore; readonly saveEvery?: number } = {},
): Promise<Trained> {
  const { examples } = await tokenizeRecords(readJsonLines(data), { tokenizer });
  const losses: number[] = [];
  const tuned = await fineTune({
    model,
    adapter,
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
    ...saving,
  });
  return { adapter: tuned.adapter, losses };
}
