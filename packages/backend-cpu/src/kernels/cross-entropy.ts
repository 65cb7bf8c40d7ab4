import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

export const crossEntropy =
  (device: Device): FusedKernels['crossEntropy'] =>
  (logits, targets, rows, columns) => {
    const losses = device.output(rows);
    const logSumExp = device.output(rows);
    const operands = [losses, logSumExp, logits, targets].map((storage) => device.address(storage));
    device.run(opcodes.crossEntropy, [...operands, rows, columns]);
    return { losses, logSumExp };
  };

export const crossEntropyBackward =
  (device: Device): FusedKernels['crossEntropyBackward'] =>
  (logits, targets, logSumExp, dLosses, rows, columns) => {
    const dLogits = device.output(rows * columns);
    const operands = [dLogits, logits, targets, logSumExp, dLosses].map((storage) => device.address(storage));
    device.run(opcodes.crossEntropyBackward, [...operands, rows, columns]);
    return dLogits;
  };
