import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';

export const concat =
  (device: Device): Primitives['concat'] =>
  (parts, outer, axes, inner) => {
    const length = outer * inner * axes.reduce((total, axis) => total + axis, 0);
    return device.output(
      length,
      () => {
        const rows = parts.flatMap((part, i) =>
          axes[i] === 0 ? [] : [device.operand(part, [outer, axes[i]! * inner])],
        );
        return rows.length === 1 ? rows[0]! : device.run('Concat', rows, { axis: 1 });
      },
      parts[0]?.dtype as 'f32' | 'i32' | undefined,
    );
  };
