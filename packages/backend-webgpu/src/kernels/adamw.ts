import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { elementwise } from './elementwise-program.ts';

/** One step in place (Loshchilov & Hutter 2019, arXiv 1711.05101), in the order of operations that core's composed step has. */
const step = elementwise({
  name: 'adamw',
  reads: ['gradient'],
  writes: ['parameter', 'firstMoment', 'secondMoment'],
  parameters: {
    keep1: 'f32',
    take1: 'f32',
    keep2: 'f32',
    take2: 'f32',
    decay: 'f32',
    learningRate: 'f32',
    epsilon: 'f32',
    correction1: 'f32',
    correction2: 'f32',
  },
  body: /* wgsl */ `
  let g = load_gradient(i);
  let m = p.keep1 * load_firstMoment(i) + p.take1 * g;
  let v = p.keep2 * load_secondMoment(i) + p.take2 * (g * g);
  let change = p.learningRate * (m / p.correction1) / (sqrt(v / p.correction2) + p.epsilon);
  store_firstMoment(i, m);
  store_secondMoment(i, v);
  store_parameter(i, load_parameter(i) * p.decay - change);`,
});

export const adamw =
  (device: Device): FusedKernels['adamw'] =>
  (parameter, gradient, firstMoment, secondMoment, spec) => {
    const { learningRate, beta1, beta2, epsilon, weightDecay, correction1, correction2 } = spec;
    const { program, parameters, workgroups } = step(spec.length);
    device.run(program, {
      operands: { parameter, gradient, firstMoment, secondMoment },
      // Each rounded to f32 once, from the double.
      parameters: {
        ...parameters,
        keep1: beta1,
        take1: 1 - beta1,
        keep2: beta2,
        take2: 1 - beta2,
        decay: 1 - learningRate * weightDecay,
        learningRate,
        epsilon,
        correction1,
        correction2,
      },
      workgroups,
    });
  };
