/** How backends walk operands of several axes: for kernels that broadcast, permute and slice. */
import type { Shape } from './kernels.ts';

/** An axis that several operands walk together: its size, and each operand's stride in elements (0: broadcast). */
export interface Axis {
  size: number;
  readonly strides: number[];
}

/** Strides of a contiguous array, with 0 where a size of 1 is broadcast to `target`. */
export function stridesOf(shape: Shape, target: Shape = shape): number[] {
  const strides = shape.map(() => 0);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = shape[axis] === 1 && target[axis] !== 1 ? 0 : stride;
    stride *= shape[axis]!;
  }
  return strides;
}

/**
 * Leaves out axes of size 1 and joins neighbours that every operand walks as one, so that kernels get few and long axes.
 */
export function joinAxes(shape: Shape, operands: readonly (readonly number[])[]): Axis[] {
  const axes: Axis[] = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis]!;
    if (size === 1) continue;
    const inner = axes[0];
    const strides = operands.map((operand) => operand[axis]!);
    if (inner !== undefined && strides.every((stride, i) => stride === inner.strides[i]! * inner.size)) {
      inner.size *= size;
    } else {
      axes.unshift({ size, strides });
    }
  }
  return axes;
}
