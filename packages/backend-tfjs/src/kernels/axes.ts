import type { Shape } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { EngineTensor } from '../engines/engine.ts';

/** The shape that operands of the same rank, sizes equal or 1, broadcast to. */
export function broadcastShape(shapes: readonly Shape[]): number[] {
  return shapes[0]!.map((_, axis) => {
    const other = shapes.find((shape) => shape[axis] !== 1);
    return other === undefined ? 1 : other[axis]!;
  });
}

/**
 * The same broadcast in as few axes as there can be, since engines know few: axes of size 1 fall out, neighbours that every
 * operand has, or lacks, together become one. Gives the operands' shapes.
 */
export function joinBroadcast(shapes: readonly Shape[], target: Shape): number[][] {
  const joined: number[][] = shapes.map(() => []);
  let before: string | undefined;
  for (const [axis, size] of target.entries()) {
    if (size === 1) continue;
    const pattern = shapes.map((shape) => (shape[axis] === 1 ? '1' : 'n')).join('');
    for (const [i, shape] of shapes.entries()) {
      if (pattern === before) joined[i]![joined[i]!.length - 1]! *= shape[axis]!;
      else joined[i]!.push(shape[axis]!);
    }
    before = pattern;
  }
  return joined.map((shape) => (shape.length === 0 ? [1] : shape));
}

/** x, its sizes of 1 repeated to `shape`. */
export function expand(device: Device, x: EngineTensor, shape: Shape): EngineTensor {
  const reps = shape.map((size, axis) => (x.shape[axis] === size ? 1 : size));
  return reps.every((count) => count === 1) ? x : device.run('Tile', { x }, { reps });
}
