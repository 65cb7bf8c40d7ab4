import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

export const softmax =
  (device: Device): FusedKernels['softmax'] =>
  (x, rows, columns) => {
    const y = device.output(rows * columns);
    device.run(opcodes.softmax, [device.address(y), device.address(x), rows, columns]);
    return y;
  };

export const softmaxBackward =
  (device: Device): FusedKernels['softmaxBackward'] =>
  (y, dy, rows, columns) => {
    const dx = device.output(rows * columns);
    device.run(opcodes.softmaxBackward, [device.address(dx), device.address(y), device.address(dy), rows, columns]);
    return dx;
  };
