/**
 * Pretrains the embedded model from nothing, with this project's own engine, and writes packages/models/assets/names.gguf.
 * Everything random comes from one seed, and the CPU backend gives the same bits wherever it has fused multiply-adds:
 * so the file is the same too.
 *
 *   npm run pretrain -w tools/embedded-model [-- --steps 500 --output other.gguf]
 */
import { cpu } from '@lowrank/backend-cpu';
import {
  AdamW,
  batchesOf,
  evaluateLoss,
  learningRateSchedule,
  Trainer,
  trainableParameters,
  type BatchSource,
  type LossFunction,
  type Tensor,
  type TrainEvent,
} from '@lowrank/core';
import { batchLoss, loadCausalLm, makeBatch, type CausalLm, type TrainedIds } from '@lowrank/models';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { documentsFor } from './documents.ts';
import { initialModel } from './initial-model.ts';
import { splitNames } from './names.ts';
import { writeModel } from './write-model.ts';

type Loss = LossFunction<readonly TrainedIds[]>;

const seed = 1;
const recipe = {
  batchSize: 128,
  learningRate: 3e-3,
  warmup: 50,
  weightDecay: 0.1,
  beta2: 0.99,
  maxGradNorm: 1,
} as const;

const { values: options } = parseArgs({
  options: {
    steps: { type: 'string', default: '500' },
    output: {
      type: 'string',
      default: fileURLToPath(new URL('../../packages/models/assets/names.gguf', import.meta.url)),
    },
  },
});
await pretrain(Number(options.steps), options.output);

async function pretrain(steps: number, output: string): Promise<void> {
  const started = performance.now();
  const backend = await cpu();
  const file = await initialModel(seed);
  const model = await loadCausalLm(file, backend, { trainable: true });
  const documents = documentsFor(file);
  const names = splitNames(seed);
  const [training, validation] = [documents.names(names.train), documents.names(names.validation)];
  const parameters = trainableParameters(model);
  const loss = lossOf(model);
  const trainer = new Trainer({
    optimizer: optimizerOf(parameters),
    schedule: learningRateSchedule({ kind: 'cosine', steps, learningRate: recipe.learningRate, warmup: recipe.warmup }),
    loss,
    data: batchesOf([...training, ...documents.conversations(names.train)], { batchSize: recipe.batchSize, seed }),
    evalData: inOrder(validation),
    evalEvery: 100,
    steps,
    maxGradNorm: recipe.maxGradNorm,
    seed,
    onEvent: tell,
  });
  const { tokens } = await trainer.run();
  const figures = {
    seed,
    steps,
    tokens,
    trainLoss: (await evaluateLoss(inOrder(training), loss)).loss,
    validationLoss: (await evaluateLoss(inOrder(validation), loss)).loss,
  };
  const bytes = await writeModel(output, file, model, figures);
  const counts = {
    parameters: [...parameters.values()].reduce((sum, { size }) => sum + size, 0),
    names: { train: training.length, validation: validation.length },
  };
  const seconds = (performance.now() - started) / 1000;
  process.stdout.write(`${JSON.stringify({ ...figures, ...counts, bytes, seconds })}\n`);
  await backend.dispose();
}

/** AdamW, with weight decay on matrices alone. */
function optimizerOf(parameters: ReadonlyMap<string, Tensor>): AdamW {
  const ofRank = (rank: number) => new Map([...parameters].filter(([, { shape }]) => shape.length === rank));
  const { learningRate, beta2, weightDecay } = recipe;
  return new AdamW([{ params: ofRank(2) }, { params: ofRank(1), weightDecay: 0 }], {
    learningRate,
    beta2,
    weightDecay,
  });
}

function lossOf(model: CausalLm): Loss {
  return (examples, pass) => {
    const batch = makeBatch(examples);
    return { sum: batchLoss(model, batch, { pass }), count: batch.targetCount };
  };
}

function inOrder(examples: readonly TrainedIds[]): BatchSource<readonly TrainedIds[]> {
  return batchesOf(examples, { batchSize: 256, seed, shuffle: false });
}

function tell(event: TrainEvent): void {
  const losses =
    event.type === 'eval'
      ? `validation loss ${event.loss.toFixed(4)}`
      : event.type === 'step' && event.step % 20 === 0
        ? `training loss ${event.loss.toFixed(4)}`
        : undefined;
  if (losses !== undefined && 'step' in event) process.stderr.write(`step ${event.step}: ${losses}\n`);
}
