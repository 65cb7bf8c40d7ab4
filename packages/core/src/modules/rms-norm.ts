import { rmsNorm } from '../ops/rms-norm.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { isFrozen } from './frozen-weight.ts';
import { Module, type Weight } from './module.ts';

/** x / sqrt(mean(x^2) + epsilon) * weight over the last axis. */
export class RmsNorm extends Module {
  readonly epsilon: number;
  #weight: Tensor;

  constructor(weight: Tensor, epsilon: number) {
    super();
    this.#weight = weight;
    this.epsilon = epsilon;
  }

  get weight(): Tensor {
    return this.#weight;
  }

  override replace(name: string, weight: Weight): Weight {
    if (name !== 'weight' || isFrozen(weight)) return super.replace(name, weight);
    const before = this.#weight;
    this.#weight = weight;
    return before;
  }

  forward(x: Tensor): Tensor {
    return rmsNorm(x, this.weight, this.epsilon);
  }

  override trainable(): Iterable<Tensor> {
    return this.weight.requiresGrad ? [this.weight] : [];
  }

  override weights(): Iterable<readonly [string, Weight]> {
    return [['weight', this.weight]];
  }
}
