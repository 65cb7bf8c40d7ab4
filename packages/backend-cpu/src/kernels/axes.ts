import type { Axis } from '@lowrank/core';

/** As kernels read it: size and strides, axis by axis. */
export function listOf(axes: readonly Axis[]): number[] {
  return axes.flatMap(({ size, strides }) => [size, ...strides]);
}
