/**
 * Fine-tuning steps by lowrank, in a process of its own.
 *
 *   node worker.ts <model> <settings as JSON> <engine> [nf4]
 *
 * Says `Loaded`, then answers each `StepsRequest` with a `StepsAnswer`.
 */
import { doraAdapter } from '@lowrank/adapter-dora';
import { loraAdapter } from '@lowrank/adapter-lora';
import { cpu, type CpuOptions } from '@lowrank/backend-cpu';
import { AdamW, inject, parameterCounts, Trainer, type ConfiguredAdapter } from '@lowrank/core';
import { loadCausalLm, lossOf, openBaseModel, type Batch } from '@lowrank/models';
import { peakBytes, serve } from '../process/serve.ts';
import { stepBatch, type Loaded, type StepsAnswer, type StepsRequest, type TrainingSettings } from './settings.ts';

const [path, json, engine, format] = process.argv.slice(2) as [
  string,
  string,
  NonNullable<CpuOptions['engine']>,
  string?,
];
const settings = JSON.parse(json) as TrainingSettings;
const { rank, alpha, targets, threads } = settings;

await using base = await openBaseModel(path);
await using backend = await cpu({ engine, threads });
const quantize = format === 'nf4' ? { quantize: { format, blockSize: 64, doubleQuantization: true } as const } : {};
const model = await loadCausalLm(base.file, backend, quantize);
const plugin = (settings.adapter === 'dora' ? doraAdapter : loraAdapter) as unknown as ConfiguredAdapter['adapter'];
const config = plugin.parseConfig({ rank, alpha, targetModules: targets });
const adapters = [];
for (let i = 0; i < (settings.adapters ?? 1); i++) {
  adapters.push(await inject(model, { adapter: plugin, config }, { name: `adapter-${i}`, seed: i }));
}
const params = adapters.flatMap((adapter, i) =>
  [...adapter.parameters()].map(([name, tensor]) => [`${i}.${name}`, tensor] as const),
);
const optimizer = new AdamW([{ params: new Map(params) }], { learningRate: 2e-4, weightDecay: 0 });

let taken = 0;
async function trainSteps({ steps }: StepsRequest): Promise<StepsAnswer> {
  const losses: number[] = [];
  const first = taken;
  const trainer = new Trainer<Batch>({
    optimizer,
    schedule: () => 2e-4,
    loss: lossOf(model, settings.checkpointing),
    data: {
      batchesPerEpoch: steps,
      batch: (_, step) => stepBatch(settings, first + step, model.config.vocabularySize),
    },
    steps,
    maxGradNorm: 1,
    onEvent: (event) => {
      if (event.type === 'step') losses.push(event.loss);
    },
  });
  const begin = performance.now();
  await trainer.run();
  taken += steps;
  return {
    seconds: (performance.now() - begin) / 1000,
    sinceStart: performance.now() / 1000,
    losses,
    peakBytes: peakBytes(),
  };
}

const { trainable } = parameterCounts(model);
await serve(
  { loadSeconds: performance.now() / 1000, trainable, version: process.versions.node } satisfies Loaded,
  async (asked) => trainSteps(asked as StepsRequest),
);
optimizer.dispose();
for (const adapter of adapters.toReversed()) adapter.eject();
model.dispose();
