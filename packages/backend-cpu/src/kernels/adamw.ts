import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';
import { adamwScalars } from './adamw-scalars.ts';
import { inGroups } from './in-groups.ts';

/** One command for all. */
export const adamw =
  (device: Device): FusedKernels['adamw'] =>
  (operands, moments, gradientScale, spec) => {
    const shared = [device.address(moments), device.address(gradientScale), moments.length / 2];
    for (const group of inGroups(operands)) {
      const { at, length } = group.at(-1)!;
      const list = group.flatMap((of) => [device.address(of.parameter), device.address(of.gradient), of.length, of.at]);
      device.run(opcodes.adamw, [...shared, at + length, group.length, ...adamwScalars(spec)], list);
    }
  };
