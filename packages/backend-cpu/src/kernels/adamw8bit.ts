import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';
import { adamwScalars } from './adamw-scalars.ts';
import { inGroups } from './in-groups.ts';

/** Elements that share a scale, as `kernels/adamw8bit.c` has it. */
const block = 256;

/** One command for all. */
export const adamw8bit =
  (device: Device): FusedKernels['adamw8bit'] =>
  (operands, maps, gradientScale, spec) => {
    const shared = [device.address(maps), device.address(gradientScale)];
    for (const group of inGroups(operands)) {
      let blocks = 0;
      const list = group.flatMap((of) => {
        const before = blocks;
        blocks += Math.ceil(of.length / block);
        const state = [of.firstCodes, of.firstAbsmax, of.secondCodes, of.secondAbsmax];
        const addresses = [of.parameter, of.gradient, ...state].map((storage) => device.address(storage));
        return [...addresses, of.length, before];
      });
      device.run(opcodes.adamw8bit, [...shared, blocks, ...adamwScalars(spec)], list);
    }
  };
