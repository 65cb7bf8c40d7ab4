import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

/** One strided copy for each part. */
export const concat =
  (device: Device): Primitives['concat'] =>
  (parts, outer, axes, inner) => {
    const sum = axes.reduce((total, axis) => total + axis, 0);
    const y = device.output(outer * sum * inner, parts[0]?.dtype as 'f32' | 'i32' | undefined);
    const width = inner * 4;
    let before = 0;
    for (const [index, part] of parts.entries()) {
      const bytes = axes[index]! * width;
      const target = device.address(y) + before;
      if (outer * bytes > 0) {
        device.run(opcodes.copyRows, [target, device.address(part), outer, bytes, sum * width, bytes]);
      }
      before += bytes;
    }
    return y;
  };
