import { rmsNorm } from '../ops/rms-norm.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Module, type Weight } from './module.ts';

/** x / sqrt(mean(x^2) + epsilon) * weight over the last axis. */
export class RmsNorm extends Module {
  readonly weight: Tensor;
  readonly epsilon: number;

  constructor(weight: Tensor, epsilon: number) {
    super();
    this.weight = weight;
    this.epsilon = epsilon;
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
