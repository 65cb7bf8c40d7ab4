import type { AdamWSpec } from '../backend/kernels.ts';
import { CoreError } from '../errors/core-error.ts';
import { add } from '../ops/binary.ts';
import { scale } from '../ops/scale.ts';
import { pow } from '../numerics/elementary.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { adamwStep } from './adamw-step.ts';
import { zeroMoment, type Moment } from './moment.ts';
import {
  MomentOptimizer,
  overwrite,
  requireFraction,
  type MakeMoments,
  type OptimizerOptions,
  type OptimizerSettings,
  type ParameterGroup,
  type Slot,
} from './optimizer.ts';

export interface AdamOptions extends OptimizerOptions {
  /** Default 0.9. */
  readonly beta1?: number;
  /** Default 0.999. */
  readonly beta2?: number;
  /** Default 1e-8. */
  readonly epsilon?: number;
  /** Adam: added to the gradient, times the parameter; default 0. AdamW: decoupled; default 0.01. */
  readonly weightDecay?: number;
}

/** What Adam keeps for a parameter. */
export const firstAndSecond: MakeMoments = (parameter) =>
  new Map<string, Moment>([
    ['firstMoment', zeroMoment(parameter)],
    ['secondMoment', zeroMoment(parameter)],
  ]);

/** Adam and AdamW: they differ in where the weight decay goes. */
export abstract class AdaptiveMoments extends MomentOptimizer {
  readonly #beta1: number;
  readonly #beta2: number;
  readonly #epsilon: number;

  constructor(
    groups: readonly ParameterGroup[],
    options: AdamOptions,
    defaultDecay: number,
    makeMoments: MakeMoments = firstAndSecond,
    others: OptimizerSettings = {},
  ) {
    const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = defaultDecay } = options;
    requireFraction(beta1, 'beta1');
    requireFraction(beta2, 'beta2');
    if (!(epsilon > 0)) {
      throw new CoreError('CORE_ARGUMENT', `optimizer: epsilon is ${epsilon}; it is above 0`, { value: epsilon });
    }
    super(groups, { learningRate, beta1, beta2, epsilon, weightDecay, ...others }, makeMoments);
    this.#beta1 = beta1;
    this.#beta2 = beta2;
    this.#epsilon = epsilon;
  }

  /** The numbers of a step, counted from 1. */
  protected spec({ parameter }: Slot, learningRate: number, weightDecay: number, step: number): AdamWSpec {
    return {
      length: parameter.size,
      learningRate,
      beta1: this.#beta1,
      beta2: this.#beta2,
      epsilon: this.#epsilon,
      weightDecay,
      correction1: 1 - pow(this.#beta1, step),
      correction2: 1 - pow(this.#beta2, step),
    };
  }

  /** The kernel where the backend has it, else the same operations in the same order. */
  protected apply({ parameter, moments }: Slot, gradient: Tensor, spec: AdamWSpec): void {
    const first = moments.get('firstMoment')!.tensor;
    const second = moments.get('secondMoment')!.tensor;
    const { adamw } = parameter.backend.kernels;
    if (adamw !== undefined) {
      adamw(parameter.storage, gradient.storage, first.storage, second.storage, spec);
      return;
    }
    const { p, m, v } = adamwStep(parameter.detach(), gradient, first, second, spec);
    overwrite(first, m);
    overwrite(second, v);
    overwrite(parameter, p);
  }
}

/** Adam with L2 regularisation (Kingma & Ba 2015, arXiv 1412.6980), as PyTorch has it: weight decay joins the gradient. */
export class Adam extends AdaptiveMoments {
  readonly kind = 'adam';

  constructor(groups: readonly ParameterGroup[], options: AdamOptions) {
    super(groups, options, 0);
  }

  protected override update(slot: Slot, gradient: Tensor, learningRate: number, step: number): void {
    const { weightDecay } = slot;
    const decayed = weightDecay === 0 ? gradient : add(gradient, scale(slot.parameter.detach(), weightDecay));
    this.apply(slot, decayed, this.spec(slot, learningRate, 0, step));
  }
}

/** Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101). */
export class AdamW extends AdaptiveMoments {
  readonly kind = 'adamw';

  constructor(groups: readonly ParameterGroup[], options: AdamOptions) {
    super(groups, options, 0.01);
  }

  protected override update(slot: Slot, gradient: Tensor, learningRate: number, step: number): void {
    this.apply(slot, gradient, this.spec(slot, learningRate, slot.weightDecay, step));
  }
}
