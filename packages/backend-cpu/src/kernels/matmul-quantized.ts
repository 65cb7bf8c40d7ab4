import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';
import { blockFormatCode } from './block-formats.ts';
import { packingBytes } from './matmul.ts';

export const matmulQuantized =
  (device: Device): FusedKernels['matmulQuantized'] =>
  (x, weight, spec) => {
    const { format, m, rows, columns, transposed } = spec;
    const n = transposed ? columns : rows;
    const y = device.output(m * n);
    const operands = [y, x, weight].map((storage) => device.address(storage));
    const scratch = device.scratch(packingBytes(device, 1, m, n));
    const sizes = [blockFormatCode(format), m, rows, columns, Number(transposed)];
    device.run(opcodes.matmulQuantized, [...operands, scratch, ...sizes]);
    return y;
  };
