import { CoreError } from '../errors/core-error.ts';
import type { ForwardPass } from '../modules/module.ts';
import { inference } from '../modules/module.ts';
import { noGrad, scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { BatchSource } from './batches.ts';

/** The loss of a batch. */
export interface BatchLoss {
  /** Summed over the trained tokens, a single element: not their mean, so that batches of any size add up. */
  readonly sum: Tensor;
  /** Number of tokens in that sum. */
  readonly count: number;
}

/** Computes a batch's loss. Synchronous, and run in a scope: what it makes is freed. */
export type LossFunction<Batch> = (batch: Batch, pass: ForwardPass) => BatchLoss;

/** Mean loss over a whole data set. */
export interface Evaluation {
  /** Per token. */
  readonly loss: number;
  readonly tokens: number;
}

/**
 * Mean loss per token over the batches of epoch 0, without gradients. A batch is read while the next one runs.
 * @throws CoreError CORE_ARGUMENT when no token counts.
 */
export async function evaluateLoss<Batch>(data: BatchSource<Batch>, loss: LossFunction<Batch>): Promise<Evaluation> {
  let total = 0;
  let tokens = 0;
  let running: Tensor | undefined;
  const collect = async (sum: Tensor | undefined): Promise<void> => {
    try {
      total += (await sum?.item()) ?? 0;
    } finally {
      sum?.dispose();
    }
  };
  try {
    for (let index = 0; index < data.batchesPerEpoch; index++) {
      const batch = await data.batch(0, index);
      const { sum, count } = scope(() => noGrad(() => loss(batch, inference)));
      const before = running;
      running = sum;
      tokens += count;
      await collect(before);
    }
  } catch (error) {
    running?.dispose();
    throw error;
  }
  await collect(running);
  if (tokens === 0) throw new CoreError('CORE_ARGUMENT', 'evaluation: no token of the data counts toward the loss');
  return { loss: total / tokens, tokens };
}
