import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

export const fill =
  (device: Device): Primitives['fill'] =>
  (value, length, dtype) => {
    const y = device.output(length, dtype);
    device.run(opcodes.fill, [device.address(y), value, length, Number(dtype === 'i32')]);
    return y;
  };
