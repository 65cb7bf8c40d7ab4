import { CoreError } from '../errors/core-error.ts';
import { RandomStream } from '../random/random-stream.ts';

/**
 * Where batches come from. A batch is a function of its epoch and index (and the source's own seed) alone, so that a
 * run can go on from anywhere.
 */
export interface BatchSource<Batch> {
  readonly batchesPerEpoch: number;
  /** @param index 0 to batchesPerEpoch - 1. */
  batch(epoch: number, index: number): Batch | Promise<Batch>;
}

/** The next batch to be trained on. */
export interface DataCursor {
  readonly epoch: number;
  readonly index: number;
}

export interface EpochOrderOptions {
  readonly seed: number;
  readonly epoch: number;
}

/** The numbers 0 .. count - 1 in the order that (seed, epoch) alone decide: Fisher and Yates' shuffle. */
export function shuffledOrder(count: number, { seed, epoch }: EpochOrderOptions): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  const random = new RandomStream(seed, `order/${epoch}`);
  for (let i = count - 1; i > 0; i--) {
    const j = random.nextInteger(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

export interface BatchOptions {
  readonly batchSize: number;
  readonly seed: number;
  /** Each epoch in an order of its own (default), or as given. */
  readonly shuffle?: boolean;
}

/** Batches of items; the last of an epoch may be smaller. */
export function batchesOf<Item>(items: readonly Item[], options: BatchOptions): BatchSource<readonly Item[]> {
  const { batchSize, seed, shuffle = true } = options;
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new CoreError('CORE_ARGUMENT', `batches: batchSize is ${batchSize}; a whole number of 1 or more is needed`, {
      value: batchSize,
    });
  }
  if (items.length === 0) throw new CoreError('CORE_ARGUMENT', 'batches: there is no data to train on');
  let known: { epoch: number; order: Uint32Array } | undefined;
  return {
    batchesPerEpoch: Math.ceil(items.length / batchSize),
    batch(epoch, index) {
      const from = index * batchSize;
      if (!shuffle) return items.slice(from, from + batchSize);
      if (known?.epoch !== epoch) known = { epoch, order: shuffledOrder(items.length, { seed, epoch }) };
      return Array.from(known.order.subarray(from, from + batchSize), (i) => items[i]!);
    },
  };
}

/** Optimizer steps of an epoch: the last one takes what batches remain. */
export function stepsPerEpoch(batchesPerEpoch: number, accumulation: number): number {
  return Math.ceil(batchesPerEpoch / accumulation);
}
