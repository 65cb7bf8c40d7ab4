import { joinAxes, sizeOf, stridesOf, type Primitives, type Shape } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';
import { listOf } from './axes.ts';

/** Bytes from the start of an array to its element at `start`; elements have 32 bits. */
function bytesTo(shape: Shape, start: readonly number[]): number {
  const strides = stridesOf(shape);
  return 4 * start.reduce((sum, at, axis) => sum + at * strides[axis]!, 0);
}

export const slice =
  (device: Device): Primitives['slice'] =>
  (x, shape, start, size) => {
    const axes = joinAxes(size, [stridesOf(shape)]);
    const y = device.output(sizeOf(size), x.dtype as 'f32' | 'i32');
    const from = device.address(x) + bytesTo(shape, start);
    device.run(opcodes.readStrided, [device.address(y), from, axes.length], listOf(axes));
    return y;
  };

export const writeSlice =
  (device: Device): Primitives['writeSlice'] =>
  (target, shape, source, start, size) => {
    const axes = joinAxes(size, [stridesOf(shape)]);
    // The kernel copies whole rows: where the innermost axis is not contiguous, rows have one element.
    if (axes.length > 0 && axes.at(-1)!.strides[0] !== 1) axes.push({ size: 1, strides: [1] });
    const to = device.address(target) + bytesTo(shape, start);
    device.run(opcodes.writeStrided, [to, device.address(source), axes.length], listOf(axes));
  };
