import { makeBatch, type Batch, type TrainedIds } from '@lowrank/models';

/** What one subject trains; peers get it as JSON. */
export interface TrainingSettings {
  readonly adapter: 'lora' | 'dora';
  readonly rank: number;
  readonly alpha: number;
  readonly targets: 'all-linear' | readonly string[];
  /** Sequences of a step. */
  readonly batch: number;
  /** Tokens of a sequence. */
  readonly length: number;
  readonly threads: number;
  readonly checkpointing: boolean;
  /** Matrix products of operands in bf16: `productOperands` of lowrank's, PyTorch's autocast. Where the processor has them. */
  readonly bf16?: boolean;
  /** Adapters of this kind on the model at once, all trained; lowrank only. Default 1. */
  readonly adapters?: number;
}

/** What a subject says once the model is loaded and the adapter on it. */
export interface Loaded {
  /** Since the program began. */
  readonly loadSeconds: number;
  readonly trainable: number;
  readonly version: string;
}

/** Asks for some steps. */
export interface StepsRequest {
  readonly steps: number;
}

/** What came of them. */
export interface StepsAnswer {
  /** All of them together. */
  readonly seconds: number;
  /** Since the program began. */
  readonly sinceStart: number;
  /** Subjects that compute the same have the same. */
  readonly losses: readonly number[];
  /** Largest resident memory of the process so far. */
  readonly peakBytes: number;
}

/** A step's tokens, all of them trained: the same numbers as in `peers/pytorch/train.py`. */
export function stepBatch({ batch, length }: TrainingSettings, step: number, vocabulary: number): Batch {
  const sequences = Array.from({ length: batch }, (_, row): TrainedIds => {
    const ids = Int32Array.from({ length }, (_, i) => (7919 * (row * length + i) + 104_729 * step) % vocabulary);
    return { ids, trained: new Uint8Array(length).fill(1) };
  });
  return makeBatch(sequences);
}
