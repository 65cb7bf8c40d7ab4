/**
 * Fine-tuning steps by lowrank, in a process of its own.
 *
 *   node worker.ts <model> <settings as JSON> <engine> [nf4]
 *
 * Says `Loaded`, then answers each `StepsRequest` with a `StepsAnswer`.
 */
import { cpu, type CpuOptions } from '@lowrank/backend-cpu';
import { peakBytes, serve } from '../process/serve.ts';
import { fineTuning } from './fine-tuning.ts';
import type { Loaded, StepsAnswer, StepsRequest, TrainingSettings } from './settings.ts';

const [path, json, engine, format] = process.argv.slice(2) as [
  string,
  string,
  NonNullable<CpuOptions['engine']>,
  string?,
];
const settings = JSON.parse(json) as TrainingSettings;

const productOperands = settings.bf16 ? 'bf16' : 'f32';
await using backend = await cpu({ engine, threads: settings.threads, productOperands });
await using tuning = await fineTuning(backend, path, settings, format);

async function trainSteps({ steps }: StepsRequest): Promise<StepsAnswer> {
  const begin = performance.now();
  const losses = await tuning.train(steps);
  return {
    seconds: (performance.now() - begin) / 1000,
    sinceStart: performance.now() / 1000,
    losses,
    peakBytes: peakBytes(),
  };
}

await serve(
  {
    loadSeconds: performance.now() / 1000,
    trainable: tuning.trainable,
    version: process.versions.node,
  } satisfies Loaded,
  async (asked) => trainSteps(asked as StepsRequest),
);
