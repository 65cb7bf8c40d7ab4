import { joinAxes, sizeOf, stridesOf, type Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';
import { listOf } from './axes.ts';

export const permute =
  (device: Device): Primitives['permute'] =>
  (x, shape, axes) => {
    const strides = stridesOf(shape);
    const joined = joinAxes(
      axes.map((axis) => shape[axis]!),
      [axes.map((axis) => strides[axis]!)],
    );
    const y = device.output(sizeOf(shape), x.dtype as 'f32' | 'i32');
    device.run(opcodes.readStrided, [device.address(y), device.address(x), joined.length], listOf(joined));
    return y;
  };
