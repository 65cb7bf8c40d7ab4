import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

export const adamw8bit =
  (device: Device): FusedKernels['adamw8bit'] =>
  (parameter, gradient, firstCodes, firstAbsmax, secondCodes, secondAbsmax, firstMap, secondMap, spec) => {
    const { length, learningRate, beta1, beta2, epsilon, weightDecay, correction1, correction2 } = spec;
    const operands = [parameter, gradient, firstCodes, firstAbsmax, secondCodes, secondAbsmax, firstMap, secondMap].map(
      (storage) => device.address(storage),
    );
    const scalars = [learningRate, beta1, beta2, epsilon, weightDecay, correction1, correction2];
    device.run(opcodes.adamw8bit, [...operands, length, ...scalars]);
  };
