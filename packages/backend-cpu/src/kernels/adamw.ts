import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

export const adamw =
  (device: Device): FusedKernels['adamw'] =>
  (parameter, gradient, firstMoment, secondMoment, spec) => {
    const operands = [parameter, gradient, firstMoment, secondMoment].map((storage) => device.address(storage));
    const { length, learningRate, beta1, beta2, epsilon, weightDecay, correction1, correction2 } = spec;
    const scalars = [learningRate, beta1, beta2, epsilon, weightDecay, correction1, correction2];
    device.run(opcodes.adamw, [...operands, length, ...scalars]);
  };
