import {
  batchesOf,
  inject,
  learningRateSchedule,
  stepsPerEpoch,
  Trainer,
  type BatchSource,
  type ConfiguredAdapter,
  type InjectedAdapter,
  type Json,
  type LossFunction,
  type RunStore,
  type ScheduleOptions,
  type TrainEvent,
  type TrainResult,
} from '@lowrank/core';
import type { CausalLm } from '../causal-lm/causal-lm.ts';
import { batchLoss } from '../causal-lm/loss.ts';
import type { TrainedIds } from '../chat/index.ts';
import { makeBatch, type Batch } from '../data/index.ts';
import { ModelsError } from '../models-error.ts';
import { dataFingerprint } from './data-fingerprint.ts';
import { makeOptimizer, type OptimizerName } from './make-optimizer.ts';

/** A fine-tuning run's numbers; the defaults suit a few hundred short examples. */
export interface FineTuneSettings {
  /** Passes over the data; `steps` takes its place. Default 1. */
  readonly epochs?: number;
  /** Optimizer steps. */
  readonly steps?: number;
  /** Examples per batch. Default 8. */
  readonly batchSize?: number;
  /** Batches per step. Default 1. */
  readonly gradientAccumulation?: number;
  /** Highest learning rate. Default 2e-4. */
  readonly learningRate?: number;
  /** Default linear, over 3 % of the steps' warm-up. */
  readonly schedule?: ScheduleOptions['kind'];
  /** Default { ratio: 0.03 }. */
  readonly warmup?: ScheduleOptions['warmup'];
  /** `'adamw8bit'` keeps AdamW's moments in 8 bits: a quarter of their memory. Default 'adamw'. */
  readonly optimizer?: OptimizerName;
  /** LoRA+ (arXiv 2402.12354): B's learning rate is this times `learningRate`; the paper suggests 16. Default 1. */
  readonly loraPlusRatio?: number;
  /** AdamW's, on all of the adapter's tensors alike. Default 0. */
  readonly weightDecay?: number;
  /** Bound on the gradient's norm; 0 for none. Default 1. */
  readonly maxGradNorm?: number;
  /** Recompute each layer in backward: less memory, about a third more time. Default false. */
  readonly gradientCheckpointing?: boolean;
  /** Each epoch in an order of its own. Default true. */
  readonly shuffle?: boolean;
  /** Decides initial weights, order and dropout. Default 0. */
  readonly seed?: number;
  /** Steps between evaluations. Default: only at the end. */
  readonly evalEvery?: number;
  /** Steps between checkpoints. Default: only at the end. */
  readonly saveEvery?: number;
}

export interface FineTuneOptions extends FineTuneSettings {
  readonly model: CausalLm;
  /** To be put on the model, or already there (to go on from an adapter file). */
  readonly adapter: ConfiguredAdapter | InjectedAdapter;
  readonly examples: readonly TrainedIds[];
  readonly validation?: readonly TrainedIds[] | undefined;
  /** Keeps checkpoints. */
  readonly store?: RunStore | undefined;
  /** Goes on from the store's latest checkpoint; an error where there is none. */
  readonly resume?: boolean;
  readonly versions?: Readonly<Record<string, string>>;
  /** Told once the adapter sits on the model, before the first step. */
  readonly onStart?: (run: {
    readonly adapter: InjectedAdapter;
    readonly steps: number;
    readonly firstStep: number;
  }) => void | Promise<void>;
  readonly onEvent?: (event: TrainEvent) => void | Promise<void>;
  readonly signal?: AbortSignal;
}

export interface FineTuneResult extends TrainResult {
  readonly adapter: InjectedAdapter;
  /** Steps of the whole run. */
  readonly steps: number;
}

/**
 * Trains an adapter on a model. The same options and data give the same bits, also when stopped and resumed.
 * @throws ModelsError MODELS_STATE when there is no checkpoint to resume from; CoreError as `inject` and `Trainer` do. An
 * adapter that this put on the model is taken off again then.
 */
export async function fineTune(options: FineTuneOptions): Promise<FineTuneResult> {
  if (!('adapter' in options.adapter)) return trainOn(options.adapter, options);
  const adapter = await inject(options.model, options.adapter, { seed: options.seed ?? DEFAULT_SEED });
  try {
    return await trainOn(adapter, options);
  } catch (error) {
    adapter.eject();
    throw error;
  }
}

async function trainOn(adapter: InjectedAdapter, options: FineTuneOptions): Promise<FineTuneResult> {
  const { model, examples, validation, store, resume = false, signal, versions = {} } = options;
  const settings = withDefaults(options);
  const { seed, batchSize, shuffle, gradientAccumulation } = settings;
  const data = batchSource(examples, { batchSize, seed, shuffle });
  const steps = settings.steps ?? settings.epochs * stepsPerEpoch(data.batchesPerEpoch, gradientAccumulation);
  const { learningRate } = settings;
  const schedule = learningRateSchedule({ kind: settings.schedule, learningRate, steps, warmup: settings.warmup });
  const optimizer = makeOptimizer(adapter.parameters(), settings);
  try {
    const trainer = new Trainer<Batch>({
      optimizer,
      schedule,
      loss: lossOf(model, settings.gradientCheckpointing),
      data,
      steps,
      seed,
      accumulation: gradientAccumulation,
      ...(settings.maxGradNorm === 0 ? {} : { maxGradNorm: settings.maxGradNorm }),
      ...(validation === undefined ? {} : { evalData: evaluationSource(validation, batchSize) }),
      ...(settings.evalEvery === undefined ? {} : { evalEvery: settings.evalEvery }),
      ...(store === undefined ? {} : { store }),
      ...(settings.saveEvery === undefined ? {} : { saveEvery: settings.saveEvery }),
      configuration: {
        ...(settings as unknown as Record<string, Json>),
        steps,
        adapter: {
          type: adapter.configured.adapter.type,
          ...(adapter.configured.config as unknown as Record<string, Json>),
        },
        data: dataFingerprint(examples),
      },
      mayDiffer: ['evalEvery', 'saveEvery'],
      versions,
      ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
      ...(signal === undefined ? {} : { signal }),
    });
    if (resume) trainer.restore(await latestState(store));
    await options.onStart?.({ adapter, steps, firstStep: trainer.step });
    return { ...(await trainer.run()), adapter, steps };
  } finally {
    optimizer.dispose();
  }
}

const DEFAULT_SEED = 0;

function withDefaults(options: FineTuneSettings) {
  return {
    epochs: options.epochs ?? 1,
    steps: options.steps,
    batchSize: options.batchSize ?? 8,
    gradientAccumulation: options.gradientAccumulation ?? 1,
    learningRate: options.learningRate ?? 2e-4,
    schedule: options.schedule ?? ('linear' as const),
    warmup: options.warmup ?? { ratio: 0.03 },
    optimizer: options.optimizer ?? ('adamw' as const),
    loraPlusRatio: options.loraPlusRatio ?? 1,
    weightDecay: options.weightDecay ?? 0,
    maxGradNorm: options.maxGradNorm ?? 1,
    gradientCheckpointing: options.gradientCheckpointing ?? false,
    shuffle: options.shuffle ?? true,
    seed: options.seed ?? DEFAULT_SEED,
    evalEvery: options.evalEvery,
    saveEvery: options.saveEvery,
  };
}

/** The loss of a batch for `Trainer` and `evaluateLoss`. */
export function lossOf(model: CausalLm, gradientCheckpointing = false): LossFunction<Batch> {
  return (batch, pass) => ({ sum: batchLoss(model, batch, { pass, gradientCheckpointing }), count: batch.targetCount });
}

/** Batches of a data set in its own order: what evaluation goes through. */
export function evaluationSource(examples: readonly TrainedIds[], batchSize: number): BatchSource<Batch> {
  return batchSource(examples, { batchSize, seed: 0, shuffle: false });
}

function batchSource(
  examples: readonly TrainedIds[],
  options: { batchSize: number; seed: number; shuffle: boolean },
): BatchSource<Batch> {
  const source = batchesOf(examples, options);
  return {
    batchesPerEpoch: source.batchesPerEpoch,
    batch: async (epoch, index) => makeBatch(await source.batch(epoch, index)),
  };
}

async function latestState(store: RunStore | undefined): ReturnType<RunStore['read']> {
  const name = await store?.latest();
  if (store === undefined || name === undefined) {
    throw new ModelsError(
      'MODELS_STATE',
      'there is no checkpoint to resume from; leave out --resume to begin a new run',
    );
  }
  return store.read(name);
}
