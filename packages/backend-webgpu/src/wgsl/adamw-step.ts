import type { AdamWSpec } from '@lowrank/core';

/** What `adamwStep` takes of `p`. */
export const adamwParameters = {
  keep1: 'f32',
  take1: 'f32',
  keep2: 'f32',
  take2: 'f32',
  decay: 'f32',
  learningRate: 'f32',
  epsilon: 'f32',
  correction1: 'f32',
  correction2: 'f32',
} as const;

/** Each is rounded to f32 once, from the double. */
export function adamwScalars(spec: AdamWSpec): Record<keyof typeof adamwParameters, number> {
  const { learningRate, beta1, beta2, epsilon, weightDecay, correction1, correction2 } = spec;
  return {
    keep1: beta1,
    take1: 1 - beta1,
    keep2: beta2,
    take2: 1 - beta2,
    decay: 1 - learningRate * weightDecay,
    learningRate,
    epsilon,
    correction1,
    correction2,
  };
}

/**
 * One step (Loshchilov & Hutter 2019, arXiv 1711.05101), in the order of operations that core's composed step has: of the
 * gradient `g` and the variables `m` and `v`, which it moves on, the `change` of a parameter that has decayed.
 */
export const adamwStep = /* wgsl */ `
  m = p.keep1 * m + p.take1 * g;
  v = p.keep2 * v + p.take2 * (g * g);
  let change = p.learningRate * (m / p.correction1) / (sqrt(v / p.correction2) + p.epsilon);`;
