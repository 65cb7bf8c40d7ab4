import { joinAxes, sizeOf, stridesOf, type Primitives, type Shape } from '@lowrank/core';
import type { Device } from '../device.ts';
import { stridedCopy } from './strided-copy.ts';

/** Elements from the start of an array to its element at `start`. */
function elementsTo(shape: Shape, start: readonly number[]): number {
  const strides = stridesOf(shape);
  return start.reduce((sum, at, axis) => sum + at * strides[axis]!, 0);
}

export const slice =
  (device: Device): Primitives['slice'] =>
  (x, shape, start, size) => {
    const y = device.output(sizeOf(size), x.dtype as 'f32' | 'i32');
    stridedCopy(device, 'read', x, y, elementsTo(shape, start), joinAxes(size, [stridesOf(shape)]));
    return y;
  };

export const writeSlice =
  (device: Device): Primitives['writeSlice'] =>
  (target, shape, source, start, size) => {
    stridedCopy(device, 'write', source, target, elementsTo(shape, start), joinAxes(size, [stridesOf(shape)]));
  };
