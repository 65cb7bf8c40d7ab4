import type { AdamWSpec } from '../backend/kernels.ts';
import { CoreError } from '../errors/core-error.ts';
import { add } from '../ops/binary.ts';
import { scale } from '../ops/scale.ts';
import { pow } from '../numerics/elementary.ts';
import { scope } from '../tensor/scope.ts';
import { filled, type Tensor } from '../tensor/tensor.ts';
import { adamwStep } from './adamw-step.ts';
import { jointMoments, zeroMoments } from './joint-moments.ts';
import {
  MomentOptimizer,
  overwrite,
  requireFraction,
  scaled,
  type Due,
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

/** What Adam keeps: for the kernel as it takes them, else each alone. */
export const firstAndSecond: MakeMoments = (parameters) => {
  if (parameters[0]?.backend.kernels.adamw !== undefined) return jointMoments(parameters);
  return parameters.map(zeroMoments);
};

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

  protected override update(
    due: readonly Due[],
    learningRate: number,
    step: number,
    gradientScale: Tensor | undefined,
  ): void {
    for (const some of alike(due)) {
      const { rateScale, weightDecay } = some[0]!.slot;
      this.stepAlike(some, gradientScale, this.#spec(learningRate * rateScale, weightDecay, step));
    }
  }

  /** A step of parameters that take it with the same numbers; the weight decay is decoupled. */
  protected stepAlike(due: readonly Due[], gradientScale: Tensor | undefined, spec: AdamWSpec): void {
    this.apply(due, gradientScale, spec);
  }

  /** The numbers of a step, counted from 1. */
  #spec(learningRate: number, weightDecay: number, step: number): AdamWSpec {
    return {
      learningRate,
      beta1: this.#beta1,
      beta2: this.#beta2,
      epsilon: this.#epsilon,
      weightDecay,
      correction1: 1 - pow(this.#beta1, step),
      correction2: 1 - pow(this.#beta2, step),
    };
  }

  /** The kernel where the backend has it, else the same operations in the same order. All with one spec. */
  protected apply(due: readonly Due[], gradientScale: Tensor | undefined, spec: AdamWSpec): void {
    for (const some of runs(due, ({ slot }) => slot.moments.get('firstMoment')!.tensor)) {
      const { parameter, moments } = some[0]!.slot;
      const { tensor } = moments.get('firstMoment')!;
      const { adamw } = parameter.backend.kernels;
      if (adamw === undefined || tensor !== moments.get('secondMoment')!.tensor) {
        for (const { slot, gradient } of some) scope(() => compose(slot, scaled(gradient, gradientScale), spec));
        continue;
      }
      const operands = some.map(({ slot, gradient }) => ({
        parameter: slot.parameter.storage,
        gradient: gradient.storage,
        length: slot.parameter.size,
        at: slot.moments.get('firstMoment')!.at,
      }));
      adamw(operands, tensor.storage, (gradientScale ?? unscaled(parameter)).storage, spec);
    }
  }
}

function compose({ parameter, moments }: Slot, gradient: Tensor, spec: AdamWSpec): void {
  const [first, second] = [moments.get('firstMoment')!.tensor, moments.get('secondMoment')!.tensor];
  const { p, m, v } = adamwStep(parameter.detach(), gradient, first, second, spec);
  overwrite(first, m);
  overwrite(second, v);
  overwrite(parameter, p);
}

/** The scale that leaves gradients as they are. */
export function unscaled(gradient: Tensor): Tensor {
  return filled(gradient.backend, 1, []);
}

/** Neighbours that have the same key. */
function runs(due: readonly Due[], key: (one: Due) => unknown): Due[][] {
  const found: Due[][] = [];
  for (const one of due) {
    const last = found.at(-1);
    if (last !== undefined && key(last[0]!) === key(one)) last.push(one);
    else found.push([one]);
  }
  return found;
}

/** Parameters that take a step with the same numbers: neighbours, as a group's are. */
function alike(due: readonly Due[]): Due[][] {
  return runs(due, ({ slot }) => slot.rateScale).flatMap((some) => runs(some, ({ slot }) => slot.weightDecay));
}

/** Adam with L2 regularisation (Kingma & Ba 2015, arXiv 1412.6980), as PyTorch has it: weight decay joins the gradient. */
export class Adam extends AdaptiveMoments {
  readonly kind = 'adam';

  constructor(groups: readonly ParameterGroup[], options: AdamOptions) {
    super(groups, options, 0);
  }

  protected override stepAlike(due: readonly Due[], gradientScale: Tensor | undefined, spec: AdamWSpec): void {
    const { weightDecay } = spec;
    const plain = { ...spec, weightDecay: 0 };
    if (weightDecay === 0) {
      this.apply(due, gradientScale, plain);
      return;
    }
    for (const { slot, gradient } of due) {
      scope(() => {
        const decay = scale(slot.parameter.detach(), weightDecay);
        this.apply([{ slot, gradient: add(scaled(gradient, gradientScale), decay) }], undefined, plain);
      });
    }
  }
}

/** Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101). */
export class AdamW extends AdaptiveMoments {
  readonly kind = 'adamw';

  constructor(groups: readonly ParameterGroup[], options: AdamOptions) {
    super(groups, options, 0.01);
  }
}
