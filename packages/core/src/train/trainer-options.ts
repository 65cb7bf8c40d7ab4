import type { Optimizer } from '../optim/optimizer.ts';
import type { Schedule } from '../optim/schedules.ts';
import type { BatchSource } from './batches.ts';
import type { TrainEvent } from './events.ts';
import type { LossFunction } from './loss.ts';
import type { Json, RunStore } from './run-state.ts';

export interface TrainerOptions<Batch> {
  /** Holds the parameters. Its steps count from where it stands. */
  readonly optimizer: Optimizer;
  readonly schedule: Schedule;
  readonly loss: LossFunction<Batch>;
  readonly data: BatchSource<Batch>;
  /** Optimizer steps of the whole run, those before a resume included. */
  readonly steps: number;
  /** Decides dropout masks. A whole number of at most 53 bits. Default 0. */
  readonly seed?: number;
  /**
   * Batches whose gradients make one step, as if they were one batch: every trained token weighs the same. The last
   * step of an epoch takes what remains. Default 1.
   */
  readonly accumulation?: number;
  /** Bound on the norm of all gradients together. Default: none. */
  readonly maxGradNorm?: number;
  /** Data to evaluate on after each `evalEvery` steps and after the last. */
  readonly evalData?: BatchSource<Batch>;
  /** Default: only after the last step. */
  readonly evalEvery?: number;
  /** Where the run's state goes after each `saveEvery` steps, after the last, and when stopped. */
  readonly store?: RunStore;
  /** Default: only at the end. */
  readonly saveEvery?: number;
  /** Recorded in checkpoints; a run with another one cannot take them up. */
  readonly configuration?: { readonly [key: string]: Json };
  /** Fields of `configuration` that a resumed run may change. */
  readonly mayDiffer?: readonly string[];
  /** Versions of the packages at work, recorded in checkpoints. */
  readonly versions?: { readonly [name: string]: string };
  /** Told what happens, in order; awaited. */
  readonly onEvent?: (event: TrainEvent) => void | Promise<void>;
  /** Once aborted, the run stops after the step it is in, and saves. An `AbortSignal` fits. */
  readonly signal?: { readonly aborted: boolean };
  /** Milliseconds, for the events' `seconds`. Default `Date.now`. */
  readonly now?: () => number;
}

/** How a run ended. */
export interface TrainResult {
  readonly step: number;
  readonly reason: 'finished' | 'stopped';
  readonly tokens: number;
  readonly seconds: number;
  /** Of the last step; undefined where none was taken. */
  readonly loss: number | undefined;
}
