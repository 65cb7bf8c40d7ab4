/**
 * A fine-tuning of lowrank on the demo's data, in a process of its own: node worker.ts <model> <settings as JSON> <engine>
 */
import { readFileSync } from 'node:fs';
import { lora } from '@lowrank/adapter-lora';
import { cpu, type CpuOptions } from '@lowrank/backend-cpu';
import { fineTune, loadCausalLm, openBaseModel, type TrainedIds } from '@lowrank/models';
import { peakBytes, serve } from '../process/serve.ts';
import type { ChatAnswer, ChatData, ChatExample, ChatSettings, Reached } from './protocol.ts';

const [path, json, engine] = process.argv.slice(2) as [string, string, NonNullable<CpuOptions['engine']>];
const settings = JSON.parse(json) as ChatSettings;
const { threads, epochs, batchSize, learningRate, rank, alpha, evalEvery } = settings;
const data = JSON.parse(readFileSync(settings.data, 'utf8')) as ChatData;

await using base = await openBaseModel(path);
await using backend = await cpu({ engine, threads });
const model = await loadCausalLm(base.file, backend);

await serve({}, async (): Promise<ChatAnswer> => {
  const curve: Reached[] = [];
  let evaluating = 0;
  const begin = performance.now();
  const { adapter } = await fineTune({
    model,
    adapter: lora({ rank, alpha, targetModules: 'all-linear' }),
    examples: data.train.map(trainedIds),
    validation: data.held.map(trainedIds),
    epochs,
    batchSize,
    learningRate,
    evalEvery,
    onEvent: (event) => {
      if (event.type !== 'eval') return;
      evaluating += event.seconds;
      curve.push({ step: event.step, seconds: (performance.now() - begin) / 1000 - evaluating, loss: event.loss });
    },
  });
  adapter.eject();
  return { curve, peakBytes: peakBytes() };
});
model.dispose();

function trainedIds({ ids, trained }: ChatExample): TrainedIds {
  return { ids: Int32Array.from(ids), trained: Uint8Array.from(trained) };
}
