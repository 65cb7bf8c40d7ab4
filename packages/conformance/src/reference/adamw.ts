/** AdamW (Loshchilov & Hutter 2019, arXiv 1711.05101, algorithm 2), in place, with gradients times `gradientScale`. */
import type { AdamWSpec } from '@lowrank/core';

export function adamw(
  parameter: Float64Array,
  gradient: Float64Array,
  firstMoment: Float64Array,
  secondMoment: Float64Array,
  gradientScale: number,
  spec: AdamWSpec,
): void {
  const { learningRate, beta1, beta2, epsilon, weightDecay, correction1, correction2 } = spec;
  for (let i = 0; i < parameter.length; i++) {
    const g = gradient[i]! * gradientScale;
    const m = (firstMoment[i] = beta1 * firstMoment[i]! + (1 - beta1) * g);
    const v = (secondMoment[i] = beta2 * secondMoment[i]! + (1 - beta2) * g * g);
    const step = m / correction1 / (Math.sqrt(v / correction2) + epsilon);
    parameter[i] = parameter[i]! * (1 - learningRate * weightDecay) - learningRate * step;
  }
}
