import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

export const dropout =
  (device: Device): FusedKernels['dropout'] =>
  (x, spec) => {
    const { rows, columns, probability } = spec;
    const y = device.output(rows * columns);
    const words = [...spec.key, ...spec.stream].map((word) => word >>> 0);
    device.run(opcodes.dropout, [device.address(y), device.address(x), rows, columns, probability, ...words]);
    return y;
  };
