import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { adamwParameters, adamwScalars, adamwStep } from '../wgsl/adamw-step.ts';
import { elementwise } from './elementwise-program.ts';

/** One step in place. */
const step = elementwise({
  name: 'adamw',
  reads: ['gradient'],
  writes: ['parameter', 'firstMoment', 'secondMoment'],
  parameters: adamwParameters,
  body: /* wgsl */ `
  let g = load_gradient(i);
  var m = load_firstMoment(i);
  var v = load_secondMoment(i);${adamwStep}
  store_firstMoment(i, m);
  store_secondMoment(i, v);
  store_parameter(i, load_parameter(i) * p.decay - change);`,
});

export const adamw =
  (device: Device): FusedKernels['adamw'] =>
  (parameter, gradient, firstMoment, secondMoment, spec) => {
    const { program, parameters, workgroups } = step(spec.length);
    device.run(program, {
      operands: { parameter, gradient, firstMoment, secondMoment },
      parameters: { ...parameters, ...adamwScalars(spec) },
      workgroups,
    });
  };
