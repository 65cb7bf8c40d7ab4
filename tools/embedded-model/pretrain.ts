/**
 * Pretrains the embedded model from nothing, with this project's own engine, and writes packages/models/assets/names.gguf.
 * Everything random comes from one seed, and the CPU backend gives the same bits on every machine with fused
 * multiply-adds: so does this, file and all.
 *
 *   npm run pretrain -w tools/embedded-model [-- --steps 2000 --output other.gguf]
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
  type Tensor,
} from '@lowrank/core';
import {
  batchLoss,
  chatTemplateFromGguf,
  loadCausalLm,
  makeBatch,
  tokenizeExample,
  tokenizerFromGguf,
  type DataRecord,
  type TrainedIds,
} from '@lowrank/models';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { initialModel } from './initial-model.ts';
import { splitNames, type Name } from './names.ts';
import { writeModel } from './write-model.ts';

const { values: options } = parseArgs({
  options: {
    steps: { type: 'string', default: '1500' },
    output: {
      type: 'string',
      default: fileURLToPath(new URL('../../packages/models/assets/names.gguf', import.meta.url)),
    },
  },
});

const seed = 1;
const steps = Number(options.steps);
const batchSize = 128;
const learningRate = 3e-3;

const started = performance.now();
const backend = await cpu();
await using file = await initialModel(seed);
const model = await loadCausalLm(file, backend, { trainable: true });
const tokenizer = tokenizerFromGguf(file.metadata);
const template = chatTemplateFromGguf(file.metadata, tokenizer);

const names = splitNames(seed);
const tokenize = (record: DataRecord): TrainedIds =>
  tokenizeExample(record, { tokenizer, template, trainOn: 'everything' });
const plain = ({ name }: Name): TrainedIds => tokenize({ text: name });
/** A question and its answer, so that the chat template's tokens mean something too. */
const chat = ({ name, of }: Name): TrainedIds[] =>
  of.map((content) =>
    tokenize({
      messages: [
        { role: 'user', content },
        { role: 'assistant', content: name },
      ],
    }),
  );

const training = [...names.train.map(plain), ...names.train.filter((_, i) => i % 4 === 0).flatMap(chat)];
const validation = names.validation.map(plain);

const weights = trainableParameters(model);
const [matrices, vectors] = [2, 1].map(
  (rank) => new Map([...weights].filter(([, { shape }]) => shape.length === rank)),
);
const optimizer = new AdamW([{ params: matrices! }, { params: vectors!, weightDecay: 0 }], {
  learningRate,
  beta2: 0.99,
  weightDecay: 0.1,
});
const loss = (examples: readonly TrainedIds[]): { sum: Tensor; count: number } => {
  const batch = makeBatch(examples);
  return { sum: batchLoss(model, batch), count: batch.targetCount };
};
const inOrder = (examples: readonly TrainedIds[]): BatchSource<readonly TrainedIds[]> =>
  batchesOf(examples, { batchSize: 256, seed, shuffle: false });

const trainer = new Trainer({
  optimizer,
  schedule: learningRateSchedule({ kind: 'cosine', learningRate, steps, warmup: 50 }),
  loss,
  data: batchesOf(training, { batchSize, seed }),
  evalData: inOrder(validation),
  evalEvery: 100,
  steps,
  maxGradNorm: 1,
  seed,
  onEvent: (event) => {
    if (event.type === 'step' && event.step % 20 === 0)
      console.error(`step ${event.step} of ${steps}: training loss ${event.loss.toFixed(4)}`);
    if (event.type === 'eval')
      console.error(`step ${event.step}: validation loss ${event.loss.toFixed(4)} a character`);
  },
});
const { tokens } = await trainer.run();

const trainLoss = (await evaluateLoss(inOrder(names.train.map(plain)), loss)).loss;
const validationLoss = (await evaluateLoss(inOrder(validation), loss)).loss;
const bytes = await writeModel(options.output, file, model, { seed, steps, tokens, trainLoss, validationLoss });
const parameters = [...weights.values()].reduce((sum, { size }) => sum + size, 0);
const seconds = (performance.now() - started) / 1000;
console.log(
  JSON.stringify({
    parameters,
    steps,
    trainNames: names.train.length,
    validationNames: validation.length,
    tokens,
    trainLoss,
    validationLoss,
    bytes,
    seconds,
  }),
);
await backend.dispose();
