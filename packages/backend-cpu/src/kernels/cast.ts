import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

export const cast =
  (device: Device): Primitives['cast'] =>
  (x, length, to) => {
    const y = device.output(length, to);
    const [target, source] = [device.address(y), device.address(x)];
    if (x.dtype === to) device.run(opcodes.copy, [target, source, length * 4]);
    else device.run(opcodes.cast, [target, source, length, Number(to === 'i32')]);
    return y;
  };
