import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import { joinAxes } from './axes.ts';
import { stridedCopy } from './strided-copy.ts';

/** One strided copy for each part. */
export const concat =
  (device: Device): Primitives['concat'] =>
  (parts, outer, axes, inner) => {
    const row = inner * axes.reduce((total, axis) => total + axis, 0);
    const y = device.output(outer * row, parts[0]?.dtype as 'f32' | 'i32' | undefined);
    let before = 0;
    for (const [index, part] of parts.entries()) {
      const width = axes[index]! * inner;
      stridedCopy(device, 'write', part, y, before, joinAxes([outer, width], [[row, 1]]));
      before += width;
    }
    return y;
  };
