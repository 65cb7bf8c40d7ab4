import { CoreError } from '../errors/core-error.ts';
import { add, sub } from '../ops/binary.ts';
import { scale } from '../ops/scale.ts';
import { scope } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { zeroMoment } from './moment.ts';
import {
  MomentOptimizer,
  overwrite,
  requireFraction,
  scaled,
  type Due,
  type MakeMoments,
  type OptimizerOptions,
  type ParameterGroup,
  type Slot,
} from './optimizer.ts';

export interface SgdOptions extends OptimizerOptions {
  /** Default 0: none. */
  readonly momentum?: number;
  /** Looks one momentum step ahead (Sutskever et al. 2013). Default false. */
  readonly nesterov?: boolean;
  /** Added to the gradient, times the parameter. Default 0. */
  readonly weightDecay?: number;
}

const none: MakeMoments = (parameters) => parameters.map(() => new Map());
const velocity: MakeMoments = (parameters) =>
  parameters.map((parameter) => new Map([['momentum', zeroMoment(parameter)]]));

/**
 * Stochastic gradient descent, as PyTorch has it: g += weightDecay p; v = momentum v + g; p -= learningRate v
 * (Nesterov: p -= learningRate (g + momentum v)).
 */
export class Sgd extends MomentOptimizer {
  readonly kind = 'sgd';
  readonly #momentum: number;
  readonly #nesterov: boolean;

  constructor(groups: readonly ParameterGroup[], options: SgdOptions) {
    const { learningRate, momentum = 0, nesterov = false, weightDecay = 0 } = options;
    requireFraction(momentum, 'momentum');
    if (nesterov && momentum === 0) {
      throw new CoreError('CORE_ARGUMENT', 'optimizer: nesterov needs a momentum above 0');
    }
    super(groups, { learningRate, momentum, nesterov, weightDecay }, momentum === 0 ? none : velocity);
    this.#momentum = momentum;
    this.#nesterov = nesterov;
  }

  protected override update(
    due: readonly Due[],
    learningRate: number,
    _step: number,
    gradientScale: Tensor | undefined,
  ): void {
    for (const { slot, gradient } of due) {
      scope(() => this.#move(slot, scaled(gradient, gradientScale), learningRate * slot.rateScale));
    }
  }

  #move({ parameter, moments, weightDecay }: Slot, gradient: Tensor, learningRate: number): void {
    const p = parameter.detach();
    const g = weightDecay === 0 ? gradient : add(gradient, scale(p, weightDecay));
    const kept = moments.get('momentum')?.tensor;
    let direction = g;
    if (kept !== undefined) {
      direction = add(scale(kept, this.#momentum), g);
      overwrite(kept, direction);
      if (this.#nesterov) direction = add(g, scale(direction, this.#momentum));
    }
    overwrite(parameter, sub(p, scale(direction, learningRate)));
  }
}
