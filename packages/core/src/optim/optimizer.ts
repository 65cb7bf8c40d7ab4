import { CoreError } from '../errors/core-error.ts';
import type { HostArray, NamedArrays } from '../host/arrays.ts';
import { mul } from '../ops/binary.ts';
import { noGrad, scope } from '../tensor/scope.ts';
import { commonBackend, type Tensor } from '../tensor/tensor.ts';
import type { Moment } from './moment.ts';

/** Parameters that are trained alike. */
export interface ParameterGroup {
  /** Trainable tensors by path. */
  readonly params: ReadonlyMap<string, Tensor>;
  /** Takes the optimizer's place; a schedule then scales it as it scales the optimizer's. */
  readonly learningRate?: number;
  /** Multiplies the learning rate (LoRA+ trains B with a larger one). Default 1. */
  readonly learningRateScale?: number;
  /** Takes the optimizer's place. */
  readonly weightDecay?: number;
}

/** What an optimizer is set up with; plain numbers and flags, as a checkpoint records them. */
export type OptimizerSettings = Readonly<Record<string, number | boolean>>;

/** An optimizer's memory: what `load` puts back so that the run goes on with the same bits. */
export interface OptimizerState {
  /** Steps taken. */
  readonly step: number;
  /** Moments, as `<moment>/<parameter>`: the same on every backend. */
  readonly arrays: NamedArrays;
}

/** Changes parameters by their gradients, on the device and without reading anything back. */
export interface Optimizer {
  /** `'adamw'`. */
  readonly kind: string;
  readonly settings: OptimizerSettings;
  /** All trained tensors by path, in order of their groups. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /**
   * One step from the gradients in `grad`, which stay as they are. A parameter without gradient stays as it is.
   * @param learningRate in place of the one given at construction.
   * @param gradientScale a scalar on the device that the step multiplies each gradient by (`clippingScale`, the mean over
   * accumulated batches), before all else; it stays the caller's. An optimizer of your own does so too where it is to work with `Trainer`.
   */
  step(learningRate?: number, gradientScale?: Tensor): void;
  /** Frees all gradients. */
  zeroGrad(): void;
  /** What is kept after the last step. */
  state(): Promise<OptimizerState>;
  /**
   * Takes up a saved state. Nothing is changed when it does not fit.
   * @throws CoreError CORE_STATE naming the array that is missing, too many, or of another shape.
   */
  load(state: OptimizerState): void;
  /** Frees the moments; parameters stay. */
  dispose(): void;
}

export interface OptimizerOptions {
  readonly learningRate: number;
  readonly weightDecay?: number;
}

/** One parameter with what the optimizer keeps for it. */
export interface Slot {
  readonly parameter: Tensor;
  /** By name. */
  readonly moments: ReadonlyMap<string, Moment>;
  readonly weightDecay: number;
  readonly rateScale: number;
}

/** A parameter that has a gradient. */
export interface Due {
  readonly slot: Slot;
  readonly gradient: Tensor;
}

/** Makes what is kept for each of the parameters, by name: as it is before the first step. */
export type MakeMoments = (parameters: readonly Tensor[]) => readonly ReadonlyMap<string, Moment>[];

/** What the optimizers have in common: groups, moments, state. */
export abstract class MomentOptimizer implements Optimizer {
  abstract readonly kind: string;
  readonly settings: OptimizerSettings;
  readonly #learningRate: number;
  readonly #slots = new Map<string, Slot>();
  #step = 0;

  /**
   * @param settings all of the optimizer's settings with their defaults filled in.
   */
  constructor(
    groups: readonly ParameterGroup[],
    settings: OptimizerSettings & { readonly learningRate: number; readonly weightDecay: number },
    makeMoments: MakeMoments,
  ) {
    requireNonNegative(settings.learningRate, 'learningRate');
    requireNonNegative(settings.weightDecay, 'weightDecay');
    this.settings = settings;
    this.#learningRate = settings.learningRate;
    checkGroups(groups);
    for (const group of groups) {
      const rateScale = rateScaleOf(group, settings.learningRate);
      const weightDecay = group.weightDecay ?? settings.weightDecay;
      const parameters = [...group.params];
      const moments = makeMoments(parameters.map(([, parameter]) => parameter));
      for (const [index, [name, parameter]] of parameters.entries()) {
        this.#slots.set(name, { parameter, moments: moments[index]!, weightDecay, rateScale });
      }
    }
  }

  /**
   * Changes parameters and their moments in place, from gradients times `gradientScale`. `step` counts from 1. Run in a scope,
   * without recording.
   */
  protected abstract update(
    due: readonly Due[],
    learningRate: number,
    step: number,
    gradientScale: Tensor | undefined,
  ): void;

  get parameters(): ReadonlyMap<string, Tensor> {
    return new Map(Array.from(this.#slots, ([name, { parameter }]) => [name, parameter]));
  }

  step(learningRate: number = this.#learningRate, gradientScale?: Tensor): void {
    this.#step++;
    const due: Due[] = [];
    for (const slot of this.#slots.values()) {
      const { grad } = slot.parameter;
      if (grad !== undefined) due.push({ slot, gradient: grad });
    }
    if (due.length === 0) return;
    noGrad(() => scope(() => this.update(due, learningRate, this.#step, gradientScale)));
    for (const { slot } of due) slot.parameter.markChanged();
  }

  zeroGrad(): void {
    for (const { parameter } of this.#slots.values()) parameter.grad = undefined;
  }

  async state(): Promise<OptimizerState> {
    const step = this.#step;
    const arrays = new Map<string, HostArray>();
    for (const [name, moment] of this.#moments()) arrays.set(name, await moment.save());
    return { step, arrays };
  }

  load(state: OptimizerState): void {
    const moments = this.#moments();
    const what = (name: string): string => `the ${this.kind} state ${name}`;
    if (!Number.isSafeInteger(state.step) || state.step < 0) {
      throw new CoreError(
        'CORE_STATE',
        `an ${this.kind} state has been saved after ${state.step} steps; a whole number is needed`,
        {
          value: state.step,
        },
      );
    }
    requireSameNames(moments, state.arrays, `the ${this.kind} state`);
    for (const [name, moment] of moments) moment.check(state.arrays.get(name)!, what(name));
    for (const [name, moment] of moments) moment.load(state.arrays.get(name)!, what(name));
    this.#step = state.step;
  }

  dispose(): void {
    for (const moment of this.#moments().values()) moment.tensor.dispose();
    this.#slots.clear();
  }

  /** All of them, as `<moment>/<parameter>`. */
  #moments(): Map<string, Moment> {
    const all = new Map<string, Moment>();
    for (const [name, { moments }] of this.#slots) {
      for (const [moment, kept] of moments) all.set(`${moment}/${name}`, kept);
    }
    return all;
  }
}

/**
 * Throws unless both have the same names.
 * @throws CoreError CORE_STATE with the first name that only one of them has.
 */
export function requireSameNames(
  needed: ReadonlyMap<string, unknown>,
  found: ReadonlyMap<string, unknown>,
  what: string,
): void {
  for (const name of needed.keys()) {
    if (!found.has(name)) {
      throw new CoreError('CORE_STATE', `${what} has no ${name}; was it saved from another model or adapter?`, {
        value: name,
      });
    }
  }
  for (const name of found.keys()) {
    if (!needed.has(name)) {
      throw new CoreError('CORE_STATE', `${what} has ${name}, which is not trained here`, { value: name });
    }
  }
}

function requireNonNegative(value: number, name: string): void {
  if (!(value >= 0 && value < Infinity)) {
    throw new CoreError('CORE_ARGUMENT', `optimizer: ${name} is ${value}; a number of 0 or more is needed`, { value });
  }
}

/** Throws unless a setting lies in [0, 1). */
export function requireFraction(value: number, name: string): void {
  if (!(value >= 0 && value < 1)) {
    throw new CoreError('CORE_ARGUMENT', `optimizer: ${name} is ${value}; it lies in [0, 1)`, { value });
  }
}

function rateScaleOf(group: ParameterGroup, learningRate: number): number {
  const { learningRateScale = 1, learningRate: own } = group;
  requireNonNegative(learningRateScale, 'learningRateScale');
  requireNonNegative(group.weightDecay ?? 0, 'weightDecay');
  if (own === undefined) return learningRateScale;
  requireNonNegative(own, 'learningRate');
  if (learningRate === 0) {
    throw new CoreError(
      'CORE_ARGUMENT',
      "optimizer: a group's learningRate is scaled with the optimizer's own, which is 0",
      { value: own },
    );
  }
  return (own / learningRate) * learningRateScale;
}

function checkGroups(groups: readonly ParameterGroup[]): void {
  const all = groups.flatMap(({ params }) => [...params]);
  if (all.length === 0) {
    throw new CoreError('CORE_ARGUMENT', 'optimizer: there is nothing to train; is every weight frozen?');
  }
  const names = new Set<string>();
  const tensors = new Set<Tensor>();
  for (const [name, parameter] of all) {
    if (names.has(name) || tensors.has(parameter)) {
      throw new CoreError('CORE_ARGUMENT', `optimizer: ${name} is given twice; a parameter belongs to one group`, {
        value: name,
      });
    }
    if (!parameter.requiresGrad || parameter.node !== undefined) {
      throw new CoreError('CORE_ARGUMENT', `optimizer: ${name} is not trainable; set requiresGrad on it first`, {
        value: name,
      });
    }
    names.add(name);
    tensors.add(parameter);
  }
  commonBackend('optimizer', [...tensors]);
}

/** The gradient that an optimizer composed of primitives goes by. */
export function scaled(gradient: Tensor, gradientScale: Tensor | undefined): Tensor {
  return gradientScale === undefined ? gradient : mul(gradient, gradientScale);
}

/** target = source, in place. */
export function overwrite(target: Tensor, source: Tensor): void {
  target.backend.kernels.writeSlice(target.storage, [target.size], source.storage, [0], [target.size]);
}
