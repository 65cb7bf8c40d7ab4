import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

export const rmsNorm =
  (device: Device): FusedKernels['rmsNorm'] =>
  (x, weight, rows, columns, epsilon) => {
    const y = device.output(rows * columns);
    const operands = [y, x, weight].map((storage) => device.address(storage));
    device.run(opcodes.rmsNorm, [...operands, rows, columns, epsilon]);
    return y;
  };

export const rmsNormBackward =
  (device: Device): FusedKernels['rmsNormBackward'] =>
  (x, weight, dy, rows, columns, epsilon) => {
    const dx = device.output(rows * columns);
    const operands = [dx, x, weight, dy].map((storage) => device.address(storage));
    device.run(opcodes.rmsNormBackward, [...operands, rows, columns, epsilon]);
    return dx;
  };

export const rmsNormWeightBackward =
  (device: Device): FusedKernels['rmsNormWeightBackward'] =>
  (x, dy, rows, columns, epsilon) => {
    const dWeight = device.output(columns);
    const scales = device.scratch(rows * Float32Array.BYTES_PER_ELEMENT);
    const operands = [dWeight, x, dy].map((storage) => device.address(storage));
    device.run(opcodes.rmsNormWeightBackward, [...operands, scales, rows, columns, epsilon]);
    return dWeight;
  };
