import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';

export const accumulate =
  (device: Device): Primitives['accumulate'] =>
  (target, source, length) => {
    device.replace(target, () =>
      device.run('Add', { a: device.operand(target, [length]), b: device.operand(source, [length]) }),
    );
  };
