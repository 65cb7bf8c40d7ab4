import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

export const silu =
  (device: Device): FusedKernels['silu'] =>
  (x, length) => {
    const y = device.output(length);
    device.run(opcodes.silu, [device.address(y), device.address(x), length]);
    return y;
  };

export const siluBackward =
  (device: Device): FusedKernels['siluBackward'] =>
  (x, dy, length) => {
    const dx = device.output(length);
    device.run(opcodes.siluBackward, [device.address(dx), device.address(x), device.address(dy), length]);
    return dx;
  };
