import { CoreError } from '../errors/core-error.ts';
import type { HostArray } from '../host/arrays.ts';
import type { ForwardPass } from '../modules/module.ts';
import { add } from '../ops/binary.ts';
import { clippingScale } from '../optim/clip.ts';
import { requireSameNames } from '../optim/optimizer.ts';
import { backward } from '../tensor/backward.ts';
import { checkFits, readHost, writeHost } from '../tensor/host-copy.ts';
import { scope } from '../tensor/scope.ts';
import { filled, type Tensor } from '../tensor/tensor.ts';
import type { BatchSource, DataCursor } from './batches.ts';
import type { TrainEvent } from './events.ts';
import { evaluateLoss } from './loss.ts';
import { asSaved, requireSameJson, RUN_STATE_VERSION, type Json, type RunState, type RunStore } from './run-state.ts';
import type { TrainerOptions, TrainResult } from './trainer-options.ts';

/** A step that was enqueued and whose numbers are not read yet. */
interface Enqueued {
  readonly step: number;
  readonly epoch: number;
  readonly learningRate: number;
  readonly tokens: number;
  readonly lossSum: Tensor;
  readonly gradNorm: Tensor | undefined;
}

/** The training loop: same options, same seed, same bits; from the start or from any checkpoint. */
export class Trainer<Batch> {
  readonly #options: TrainerOptions<Batch>;
  readonly #accumulation: number;
  readonly #seed: number;
  readonly #now: () => number;
  #step = 0;
  #microBatches = 0;
  #tokens = 0;
  #cursor: DataCursor = { epoch: 0, index: 0 };
  #enqueued: Enqueued | undefined;
  #saved = -1;
  #toldAt = 0;
  #loss: number | undefined;

  constructor(options: TrainerOptions<Batch>) {
    const { steps, accumulation = 1, seed = 0, evalEvery, saveEvery, data, now = Date.now } = options;
    requireCount(steps, 'steps', 1);
    requireCount(accumulation, 'accumulation', 1);
    requireCount(seed, 'seed', 0);
    requireCount(evalEvery ?? 1, 'evalEvery', 1);
    requireCount(saveEvery ?? 1, 'saveEvery', 1);
    requireCount(data.batchesPerEpoch, 'data.batchesPerEpoch', 1);
    this.#options = options;
    this.#accumulation = accumulation;
    this.#seed = seed;
    this.#now = now;
  }

  /** Optimizer steps taken, over the whole run. */
  get step(): number {
    return this.#step;
  }

  get #stopped(): boolean {
    return this.#options.signal?.aborted === true;
  }

  /**
   * Trains until the last step or the signal.
   * @throws CoreError CORE_NOT_FINITE naming the step whose loss or gradient is NaN or infinite; nothing is saved then.
   */
  async run(): Promise<TrainResult> {
    const { steps, store, optimizer } = this.#options;
    optimizer.zeroGrad();
    const start = (this.#toldAt = this.#now());
    try {
      while (this.#step < steps && !this.#stopped) {
        const before = this.#enqueued;
        this.#enqueued = await this.#takeStep();
        if (before !== undefined) await this.#tell(before);
        await this.#pauses();
      }
      await this.#drain();
    } finally {
      release(this.#enqueued);
      this.#enqueued = undefined;
      optimizer.zeroGrad();
    }
    if (store !== undefined && this.#saved !== this.#step) await this.#save(store);
    const seconds = (this.#now() - start) / 1000;
    const reason = this.#step < steps ? 'stopped' : 'finished';
    await this.#emit({ type: 'done', step: this.#step, reason, tokens: this.#tokens, seconds });
    return { step: this.#step, reason, tokens: this.#tokens, seconds, loss: this.#loss };
  }

  /** The state after the last step. */
  async state(): Promise<RunState> {
    const { optimizer, configuration = {}, versions = {} } = this.#options;
    const { step, arrays: moments } = await optimizer.state();
    return {
      manifest: {
        runStateVersion: RUN_STATE_VERSION,
        step: this.#step,
        microBatches: this.#microBatches,
        tokens: this.#tokens,
        seed: this.#seed,
        cursor: this.#cursor,
        optimizer: { kind: optimizer.kind, step, settings: optimizer.settings },
        configuration,
        versions,
      },
      parameters: await readAll(optimizer.parameters),
      moments,
    };
  }

  /**
   * Goes on from a saved state. Nothing is changed when it does not fit.
   * @throws CoreError CORE_STATE naming what differs: a parameter, a shape, the optimizer, the seed, the configuration.
   */
  restore({ manifest, parameters, moments }: RunState): void {
    const { optimizer, configuration = {}, mayDiffer = [], data } = this.#options;
    requireSameJson(manifest.optimizer.kind, optimizer.kind, 'the optimizer');
    requireSameJson(asSaved(manifest.optimizer.settings), asSaved(optimizer.settings), `${optimizer.kind}'s settings`);
    requireSameJson(manifest.seed, this.#seed, 'the seed');
    const compared = (json: { readonly [key: string]: Json }): Json =>
      asSaved(Object.fromEntries(Object.entries(json).filter(([key]) => !mayDiffer.includes(key))));
    requireSameJson(compared(manifest.configuration), compared(configuration), 'configuration');
    if (manifest.cursor.index >= data.batchesPerEpoch) {
      throw new CoreError(
        'CORE_STATE',
        `the checkpoint is at batch ${manifest.cursor.index} of an epoch, but the data now has ${data.batchesPerEpoch}; was it changed?`,
        {
          value: manifest.cursor,
        },
      );
    }
    const trained = optimizer.parameters;
    requireSameNames(trained, parameters, 'the checkpoint');
    for (const [name, target] of trained) checkFits(target, parameters.get(name)!, name);
    optimizer.load({ step: manifest.optimizer.step, arrays: moments });
    for (const [name, target] of trained) writeHost(target, parameters.get(name)!, name);
    this.#step = this.#saved = manifest.step;
    this.#microBatches = manifest.microBatches;
    this.#tokens = manifest.tokens;
    this.#cursor = manifest.cursor;
  }

  /** Enqueues one optimizer step. */
  async #takeStep(): Promise<Enqueued> {
    const { optimizer, schedule, maxGradNorm, data } = this.#options;
    const { epoch, index } = this.#cursor;
    const end = Math.min(index + this.#accumulation, data.batchesPerEpoch);
    const { lossSum, tokens } = await this.#backward(epoch, index, end);
    const parameters = [...optimizer.parameters.values()];
    const learningRate = schedule(this.#step);
    const gradNorm = scope(() => {
      // Sums become means over the tokens of all batches: as if they had been one.
      const mean = 1 / tokens;
      const { norm, gradientScale } =
        maxGradNorm === undefined
          ? { norm: undefined, gradientScale: filled(lossSum.backend, mean, []) }
          : clippingScale(parameters, maxGradNorm, mean);
      optimizer.step(learningRate, gradientScale);
      optimizer.zeroGrad();
      return norm;
    });
    this.#step++;
    this.#tokens += tokens;
    this.#cursor = end === data.batchesPerEpoch ? { epoch: epoch + 1, index: 0 } : { epoch, index: end };
    return { step: this.#step, epoch, learningRate, tokens, lossSum, gradNorm };
  }

  /** Adds up loss, tokens and gradients of batches `index` to `end - 1`. */
  async #backward(epoch: number, index: number, end: number): Promise<{ lossSum: Tensor; tokens: number }> {
    const { loss, data } = this.#options;
    let lossSum: Tensor | undefined;
    let tokens = 0;
    try {
      for (let at = index; at < end; at++) {
        const batch = await data.batch(epoch, at);
        const pass: ForwardPass = { training: true, seed: this.#seed, step: this.#microBatches };
        this.#microBatches++;
        const before: Tensor | undefined = lossSum;
        lossSum = scope(() => {
          const { sum, count } = loss(batch, pass);
          if (count === 0) return before;
          tokens += count;
          backward(sum);
          return before === undefined ? sum.detach() : add(before, sum.detach());
        });
        if (lossSum !== before) before?.dispose();
      }
    } catch (error) {
      lossSum?.dispose();
      throw error;
    }
    if (lossSum === undefined) {
      throw new CoreError(
        'CORE_ARGUMENT',
        `step ${this.#step + 1}: no token of batches ${index} to ${end - 1} of epoch ${epoch} is trained; leave such examples out`,
        {
          value: { epoch, index },
        },
      );
    }
    return { lossSum, tokens };
  }

  /** Evaluates and saves where it is time to. */
  async #pauses(): Promise<void> {
    const { steps, evalData, evalEvery = steps, store, saveEvery = steps } = this.#options;
    const last = this.#step === steps;
    if (evalData !== undefined && (last || this.#step % evalEvery === 0)) {
      await this.#drain();
      await this.#evaluate(evalData);
    }
    if (store !== undefined && (last || this.#step % saveEvery === 0)) {
      await this.#drain();
      await this.#save(store);
    }
  }

  async #evaluate(data: BatchSource<Batch>): Promise<void> {
    const start = this.#now();
    const { loss, tokens } = await evaluateLoss(data, this.#options.loss);
    const end = this.#now();
    // The time of an evaluation is its own, not the next step's.
    this.#toldAt += end - start;
    await this.#emit({ type: 'eval', step: this.#step, loss, tokens, seconds: (end - start) / 1000 });
  }

  async #save(store: RunStore): Promise<void> {
    const name = `checkpoint-${this.#step}`;
    await store.write(name, await this.state());
    this.#saved = this.#step;
    await this.#emit({ type: 'checkpoint', step: this.#step, name });
  }

  async #drain(): Promise<void> {
    const enqueued = this.#enqueued;
    this.#enqueued = undefined;
    if (enqueued !== undefined) await this.#tell(enqueued);
  }

  /** Waits for a step's numbers and tells them. */
  async #tell(enqueued: Enqueued): Promise<void> {
    const { step, epoch, learningRate, tokens } = enqueued;
    let loss: number;
    let gradNorm: number | undefined;
    try {
      loss = (await enqueued.lossSum.item()) / tokens;
      gradNorm = await enqueued.gradNorm?.item();
    } finally {
      release(enqueued);
    }
    requireFinite(loss, 'loss', step);
    requireFinite(gradNorm ?? 0, "gradient's norm", step);
    this.#loss = loss;
    const now = this.#now();
    const seconds = (now - this.#toldAt) / 1000;
    this.#toldAt = now;
    await this.#emit({
      type: 'step',
      step,
      steps: this.#options.steps,
      epoch,
      loss,
      learningRate,
      gradNorm,
      tokens,
      seconds,
    });
  }

  async #emit(event: TrainEvent): Promise<void> {
    await this.#options.onEvent?.(event);
  }
}

function release(enqueued: Enqueued | undefined): void {
  enqueued?.lossSum.dispose();
  enqueued?.gradNorm?.dispose();
}

async function readAll(tensors: ReadonlyMap<string, Tensor>): Promise<Map<string, HostArray>> {
  const arrays = new Map<string, HostArray>();
  for (const [name, tensor] of tensors) arrays.set(name, await readHost(tensor));
  return arrays;
}

function requireCount(value: number, name: string, least: number): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new CoreError('CORE_ARGUMENT', `trainer: ${name} is ${value}; a whole number of ${least} or more is needed`, {
      value,
    });
  }
}

function requireFinite(value: number, what: string, step: number): void {
  if (Number.isFinite(value)) return;
  throw new CoreError(
    'CORE_NOT_FINITE',
    `step ${step}: the ${what} is ${value}; lower the learning rate, warm up, or clip gradients, and go on from an earlier checkpoint`,
    {
      value,
    },
  );
}
