import type { AdamWSpec } from '@lowrank/core';

/** In the order of `kernels/adamw.h`. */
export function adamwScalars(spec: AdamWSpec): number[] {
  const { learningRate, beta1, beta2, epsilon, weightDecay, correction1, correction2 } = spec;
  return [learningRate, beta1, beta2, epsilon, weightDecay, correction1, correction2];
}
