import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';
import { blockFormatCode } from './block-formats.ts';

export const gatherQuantized =
  (device: Device): FusedKernels['gatherQuantized'] =>
  (table, format, rows, columns, indices, count) => {
    const y = device.output(count * columns);
    const operands = [y, table, indices].map((storage) => device.address(storage));
    device.run(opcodes.gatherQuantized, [...operands, blockFormatCode(format), rows, columns, count]);
    return y;
  };
