import {
  AdamW,
  batchesOf,
  crossEntropy,
  evaluateLoss,
  learningRateSchedule,
  noGrad,
  scope,
  sum,
  tensor,
  Trainer,
  trainableParameters,
  type Backend,
  type BatchSource,
  type LossFunction,
} from '@lowrank/core';
import { CLASSES, PIXELS, pick, type Digits } from './digits.ts';
import type { Network } from './network.ts';

const BATCH_SIZE = 64;
const LEARNING_RATE = 1e-3;

/** Trains whatever of the network is trainable: all of it, or its adapters. */
export async function train(network: Network, backend: Backend, digits: Digits, epochs: number, seed: number) {
  const optimizer = new AdamW([{ params: trainableParameters(network) }], { learningRate: LEARNING_RATE });
  const data = batches(digits, seed);
  const steps = epochs * data.batchesPerEpoch;
  const schedule = learningRateSchedule({ kind: 'constant', learningRate: LEARNING_RATE, steps });
  try {
    await new Trainer<Digits>({ optimizer, schedule, loss: lossOf(network, backend), data, steps, seed }).run();
  } finally {
    optimizer.dispose();
  }
}

/** Mean loss, and the part of the digits that are told right. */
export async function evaluate(
  network: Network,
  backend: Backend,
  digits: Digits,
): Promise<{ readonly loss: number; readonly accuracy: number }> {
  const { loss } = await evaluateLoss(batches(digits), lossOf(network, backend));
  using answers = scope(() => noGrad(() => network.logits(tensor(backend, digits.images, [digits.count, PIXELS]))));
  const logits = await answers.data();
  const right = digits.labels.filter((label, i) => label === largest(logits, i * CLASSES)).length;
  return { loss, accuracy: right / digits.count };
}

function largest(logits: ArrayLike<number>, from: number): number {
  let best = 0;
  for (let c = 1; c < CLASSES; c++) if (logits[from + c]! > logits[from + best]!) best = c;
  return best;
}

/** In an order that the seed decides; without one, as they are. */
function batches(digits: Digits, seed?: number): BatchSource<Digits> {
  const places = Array.from({ length: digits.count }, (_, i) => i);
  const source = batchesOf(places, { batchSize: BATCH_SIZE, seed: seed ?? 0, shuffle: seed !== undefined });
  return {
    batchesPerEpoch: source.batchesPerEpoch,
    batch: async (epoch, index) => pick(digits, await source.batch(epoch, index)),
  };
}

function lossOf(network: Network, backend: Backend): LossFunction<Digits> {
  return ({ images, labels, count }, pass) => {
    const logits = network.logits(tensor(backend, images, [count, PIXELS]), pass);
    return { sum: sum(crossEntropy(logits, tensor(backend, labels, [count]))), count };
  };
}
