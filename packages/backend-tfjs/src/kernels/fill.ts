import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';

export const fill =
  (device: Device): Primitives['fill'] =>
  (value, length, dtype) =>
    device.output(length, () => device.filled(value, length, dtype), dtype);
