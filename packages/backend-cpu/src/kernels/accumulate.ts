import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

export const accumulate =
  (device: Device): Primitives['accumulate'] =>
  (target, source, length) => {
    device.run(opcodes.accumulate, [device.address(target), device.address(source), length]);
  };
