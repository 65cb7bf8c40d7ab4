/**
 * One LoRA step of a real model on WebGPU: what it asks of the device. The counts are those of the third step, when
 * pipelines are compiled and the pool holds the buffers of a step; the seconds are those of this machine's device.
 */
import { lora } from '@lowrank/adapter-lora';
import { AdamW, inject, Trainer } from '@lowrank/core';
import { fileSource, openGguf } from '@lowrank/io-gguf';
import { loadCausalLm, lossOf, makeBatch, resolveModel, type Batch } from '@lowrank/models';
import { print, type Figure } from '../report.ts';
import { countFigures, openWebgpu } from './device.ts';

export interface WebgpuTrainOptions {
  /** A name that `lowrank` knows, or a GGUF file. */
  readonly model: string;
  /** Sequences of a step. */
  readonly batch: number;
  /** Tokens of each. */
  readonly tokens: number;
  readonly json: boolean;
}

const steps = 3;

export async function webgpuTrain({ model: name, batch, tokens, json }: WebgpuTrainOptions): Promise<void> {
  await using file = await openGguf(await fileSource((await resolveModel(name)).path));
  await using backend = await openWebgpu();
  const model = await loadCausalLm(file, backend);
  const adapter = await inject(model, lora({ rank: 8, alpha: 16, targetModules: 'all-linear' }));
  const optimizer = new AdamW([{ params: adapter.parameters() }], { learningRate: 2e-4, weightDecay: 0 });
  const taken: { at: number; counters: ReturnType<typeof backend.counters> }[] = [];
  const trainer = new Trainer<Batch>({
    optimizer,
    schedule: () => 2e-4,
    loss: lossOf(model, false),
    data: { batchesPerEpoch: steps, batch: (_, step) => batchOf(batch, tokens, step, model.config.vocabularySize) },
    steps,
    maxGradNorm: 1,
    onEvent: ({ type }) => {
      if (type === 'step') taken.push({ at: performance.now(), counters: backend.counters() });
    },
  });
  await trainer.run();
  const [from, to] = [taken.at(-3)!, taken.at(-2)!];
  const common = { name: 'train', subject: `webgpu, ${backend.device}, ${name}, ${batch} x ${tokens} tokens` };
  const figures: Figure[] = [
    { ...common, case: 'a step', value: (to.at - from.at) / 1000, unit: 's', ratio: null },
    ...countFigures(common, from.counters, to.counters),
  ];
  print(figures, json);
}

/** Any tokens, all of them trained. */
function batchOf(batch: number, tokens: number, step: number, vocabulary: number): Batch {
  const sequences = Array.from({ length: batch }, (_, row) => {
    const ids = Int32Array.from(
      { length: tokens },
      (_, i) => (7919 * (row * tokens + i) + 104_729 * step) % vocabulary,
    );
    return { ids, trained: new Uint8Array(tokens).fill(1) };
  });
  return makeBatch(sequences);
}
