import { sizeOf, type Primitives, type Shape } from '@lowrank/core';
import type { Device } from '../device.ts';

export const permute =
  (device: Device): Primitives['permute'] =>
  (storage, shape, axes) =>
    device.output(
      sizeOf(shape),
      () => {
        const joined = joinAxes(shape, axes);
        const x = device.operand(storage, joined.shape);
        return joined.axes.every((axis, i) => axis === i) ? x : device.run('Transpose', { x }, { perm: joined.axes });
      },
      storage.dtype as 'f32' | 'i32',
    );

/** The same permutation in as few axes as there can be: sizes of 1 fall out, axes that stay neighbours become one. */
export function joinAxes(shape: Shape, axes: readonly number[]): { shape: number[]; axes: number[] } {
  const moved = axes.filter((axis) => shape[axis] !== 1);
  const kept = moved.toSorted((a, b) => a - b);
  const runs: number[][] = [];
  for (const axis of moved) {
    const run = runs.at(-1);
    if (run !== undefined && kept.indexOf(axis) === kept.indexOf(run.at(-1)!) + 1) run.push(axis);
    else runs.push([axis]);
  }
  const inOrder = runs.toSorted((a, b) => a[0]! - b[0]!);
  return {
    shape: inOrder.map((run) => run.reduce((product, axis) => product * shape[axis]!, 1)),
    axes: runs.map((run) => inOrder.indexOf(run)),
  };
}
