import type { AdamWSpec } from '../backend/kernels.ts';
import { CoreError } from '../errors/core-error.ts';
import { add, div, mul, sub } from '../ops/binary.ts';
import { offset, scale } from '../ops/scale.ts';
import { sqrt } from '../ops/unary.ts';
import { pow } from '../numerics/elementary.ts';
import { fromStorage, type Tensor } from '../tensor/tensor.ts';
import {
  MomentOptimizer,
  overwrite,
  requireFraction,
  type OptimizerOptions,
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

/** Adam and AdamW: they differ in where the weight decay goes. */
abstract class AdaptiveMoments extends MomentOptimizer {
  readonly #beta1: number;
  readonly #beta2: number;
  readonly #epsilon: number;

  constructor(groups: readonly ParameterGroup[], options: AdamOptions, defaultDecay: number) {
    const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = defaultDecay } = options;
    requireFraction(beta1, 'beta1');
    requireFraction(beta2, 'beta2');
    if (!(epsilon > 0)) {
      throw new CoreError('CORE_ARGUMENT', `optimizer: epsilon is ${epsilon}; it is above 0`, { value: epsilon });
    }
    super(groups, { learningRate, beta1, beta2, epsilon, weightDecay }, ['firstMoment', 'secondMoment']);
    this.#beta1 = beta1;
    this.#beta2 = beta2;
    this.#epsilon = epsilon;
  }

  /** The kernel where the backend has it, else the same operations in the same order. */
  protected apply(slot: Slot, gradient: Tensor, learningRate: number, weightDecay: number, step: number): void {
    const [first, second] = slot.moments as [Tensor, Tensor];
    const spec: AdamWSpec = {
      length: slot.parameter.size,
      learningRate,
      beta1: this.#beta1,
      beta2: this.#beta2,
      epsilon: this.#epsilon,
      weightDecay,
      correction1: 1 - pow(this.#beta1, step),
      correction2: 1 - pow(this.#beta2, step),
    };
    const { adamw } = slot.parameter.backend.kernels;
    if (adamw === undefined) composed(slot.parameter, gradient, first, second, spec);
    else adamw(slot.parameter.storage, gradient.storage, first.storage, second.storage, spec);
  }
}

/**
 * Each operation rounds on its own, in the order that fused kernels keep to:
 * m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) (g g);
 * p = p (1 - learningRate weightDecay) - (learningRate (m / correction1)) / (sqrt(v / correction2) + epsilon).
 */
function composed(parameter: Tensor, gradient: Tensor, first: Tensor, second: Tensor, spec: AdamWSpec): void {
  const { learningRate, beta1, beta2, epsilon, weightDecay, correction1, correction2 } = spec;
  const m = add(scale(first, beta1), scale(gradient, 1 - beta1));
  const v = add(scale(second, beta2), scale(mul(gradient, gradient), 1 - beta2));
  const step = div(scale(divideBy(m, correction1), learningRate), offset(sqrt(divideBy(v, correction2)), epsilon));
  const p = sub(scale(parameter.detach(), 1 - learningRate * weightDecay), step);
  overwrite(first, m);
  overwrite(second, v);
  overwrite(parameter, p);
}

/** x / number: a division, for a product with the reciprocal rounds differently. */
function divideBy(x: Tensor, divisor: number): Tensor {
  const { backend, shape } = x;
  return div(
    x,
    fromStorage(
      backend,
      backend.kernels.fill(divisor, 1, 'f32'),
      shape.map(() => 1),
      'f32',
    ),
  );
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
    this.apply(slot, decayed, learningRate, 0, step);
  }
}

/** Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101). */
export class AdamW extends AdaptiveMoments {
  readonly kind = 'adamw';

  constructor(groups: readonly ParameterGroup[], options: AdamOptions) {
    super(groups, options, 0.01);
  }

  protected override update(slot: Slot, gradient: Tensor, learningRate: number, step: number): void {
    this.apply(slot, gradient, learningRate, slot.weightDecay, step);
  }
}
