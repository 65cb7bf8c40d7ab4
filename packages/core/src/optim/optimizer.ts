import type { Backend } from '../backend/backend.ts';
import { CoreError } from '../errors/core-error.ts';
import type { NamedArrays } from '../host/arrays.ts';
import { noGrad, keep, scope } from '../tensor/scope.ts';
import { checkFits, writeHost } from '../tensor/host-copy.ts';
import { commonBackend, fromStorage, type Tensor } from '../tensor/tensor.ts';

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
  /** Moments, as `<moment>/<parameter>`. Owned by the optimizer. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/** Changes parameters by their gradients, on the device and without reading anything back. */
export interface Optimizer {
  /** `'adamw'`. */
  readonly kind: string;
  readonly settings: OptimizerSettings;
  /** All trained tensors by path, in order of their groups. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /**
   * One step from the gradients in `grad`, which stay. A parameter without gradient stays as it is.
   * @param learningRate in place of the one given at construction.
   */
  step(learningRate?: number): void;
  /** Frees all gradients. */
  zeroGrad(): void;
  state(): OptimizerState;
  /**
   * Takes up a saved state. Nothing is changed when it does not fit.
   * @throws CoreError CORE_STATE naming the array that is missing, too many, or of another shape.
   */
  load(state: { readonly step: number; readonly arrays: NamedArrays }): void;
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
  /** In the order of `momentNames`. */
  readonly moments: readonly Tensor[];
  readonly weightDecay: number;
  readonly rateScale: number;
}

/** What the optimizers have in common: groups, moments, state. */
export abstract class MomentOptimizer implements Optimizer {
  abstract readonly kind: string;
  readonly settings: OptimizerSettings;
  readonly #learningRate: number;
  readonly #slots = new Map<string, Slot>();
  readonly #momentNames: readonly string[];
  #step = 0;

  /**
   * @param settings all of the optimizer's settings with their defaults filled in.
   * @param momentNames the f32 arrays kept for each parameter, zero at the start.
   */
  constructor(
    groups: readonly ParameterGroup[],
    settings: OptimizerSettings & { readonly learningRate: number; readonly weightDecay: number },
    momentNames: readonly string[],
  ) {
    requireNonNegative(settings.learningRate, 'learningRate');
    requireNonNegative(settings.weightDecay, 'weightDecay');
    this.settings = settings;
    this.#learningRate = settings.learningRate;
    this.#momentNames = momentNames;
    checkGroups(groups);
    for (const group of groups) {
      const rateScale = rateScaleOf(group, settings.learningRate);
      const weightDecay = group.weightDecay ?? settings.weightDecay;
      for (const [name, parameter] of group.params) {
        const moments = momentNames.map(() => zerosLike(parameter));
        this.#slots.set(name, { parameter, moments, weightDecay, rateScale });
      }
    }
  }

  /** Changes one parameter and its moments in place. `step` counts from 1. */
  protected abstract update(slot: Slot, gradient: Tensor, learningRate: number, step: number): void;

  get parameters(): ReadonlyMap<string, Tensor> {
    return new Map(Array.from(this.#slots, ([name, { parameter }]) => [name, parameter]));
  }

  step(learningRate: number = this.#learningRate): void {
    this.#step++;
    noGrad(() => {
      for (const slot of this.#slots.values()) {
        const { grad } = slot.parameter;
        if (grad === undefined) continue;
        scope(() => this.update(slot, grad, learningRate * slot.rateScale, this.#step));
        slot.parameter.markChanged();
      }
    });
  }

  zeroGrad(): void {
    for (const { parameter } of this.#slots.values()) parameter.grad = undefined;
  }

  state(): OptimizerState {
    const tensors = new Map<string, Tensor>();
    for (const [name, { moments }] of this.#slots) {
      this.#momentNames.forEach((moment, i) => tensors.set(`${moment}/${name}`, moments[i]!));
    }
    return { step: this.#step, tensors };
  }

  load(state: { readonly step: number; readonly arrays: NamedArrays }): void {
    const { tensors } = this.state();
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
    requireSameNames(tensors, state.arrays, `the ${this.kind} state`);
    for (const [name, target] of tensors) checkFits(target, state.arrays.get(name)!, what(name));
    for (const [name, target] of tensors) writeHost(target, state.arrays.get(name)!, what(name));
    this.#step = state.step;
  }

  dispose(): void {
    for (const { moments } of this.#slots.values()) for (const moment of moments) moment.dispose();
    this.#slots.clear();
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

function zerosLike(parameter: Tensor): Tensor {
  const backend: Backend = parameter.backend;
  return keep(fromStorage(backend, backend.kernels.fill(0, parameter.size, 'f32'), parameter.shape, 'f32'));
}

/** target = source, in place. */
export function overwrite(target: Tensor, source: Tensor): void {
  target.backend.kernels.writeSlice(target.storage, [target.size], source.storage, [0], [target.size]);
}
