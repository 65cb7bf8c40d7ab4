/** Which examples a step trains on: a function of (seed, step) alone, so that a run resumes anywhere. */
import { RandomStream } from '@lowrank/core';

export interface OrderOptions {
  /** Number of examples. */
  readonly count: number;
  readonly seed: number;
  /** False: every epoch goes through the examples as they stand. Default true. */
  readonly shuffle?: boolean;
}

/** The order of an epoch (from 0): a permutation of 0..count-1, by Fisher-Yates with random numbers named after seed and epoch. */
export function exampleOrder(epoch: number, { count, seed, shuffle = true }: OrderOptions): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  if (!shuffle) return order;
  const random = new RandomStream(seed, `example-order/${epoch}`);
  for (let i = count - 1; i > 0; i--) {
    const j = random.nextInteger(i + 1);
    const swapped = order[i]!;
    order[i] = order[j]!;
    order[j] = swapped;
  }
  return order;
}

/** Steps that go once through all examples; the last may be a smaller one. */
export function stepsPerEpoch(count: number, batchSize: number): number {
  return Math.ceil(count / batchSize);
}

/** The examples of a step (from 0, counted through all epochs). */
export function examplesOfStep(
  step: number,
  { batchSize, ...options }: OrderOptions & { readonly batchSize: number },
): Int32Array {
  const steps = stepsPerEpoch(options.count, batchSize);
  const start = (step % steps) * batchSize;
  return exampleOrder(Math.floor(step / steps), options).slice(start, start + batchSize);
}
