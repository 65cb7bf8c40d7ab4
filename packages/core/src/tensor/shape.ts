import type { Shape } from '../backend/kernels.ts';
import { CoreError } from '../errors/core-error.ts';

/** Number of elements. */
export function sizeOf(shape: Shape): number {
  let size = 1;
  for (const length of shape) size *= length;
  return size;
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((length, i) => length === b[i]);
}

/** `[2, 3]` as text for messages. */
export function shapeText(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

/** A valid shape: whole numbers >= 0. */
export function checkShape(shape: Shape, what: string): void {
  for (const length of shape) {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw new CoreError(
        'CORE_SHAPE',
        `${what}: ${shapeText(shape)} is not a shape; sizes are whole numbers of 0 or more`,
        {
          value: shape,
        },
      );
    }
  }
}

/** Prepends ones until the shape has `rank` axes. */
export function padShape(shape: Shape, rank: number): number[] {
  return [...Array<number>(rank - shape.length).fill(1), ...shape];
}

/** NumPy's broadcasting of two shapes. */
export function broadcastShapes(a: Shape, b: Shape, op: string): number[] {
  const rank = Math.max(a.length, b.length);
  const left = padShape(a, rank);
  const right = padShape(b, rank);
  return left.map((length, i) => {
    const other = right[i]!;
    if (length === other || other === 1) return length;
    if (length === 1) return other;
    throw new CoreError('CORE_SHAPE', `${op}: shapes ${shapeText(a)} and ${shapeText(b)} do not broadcast`, {
      value: [a, b],
    });
  });
}

/** An axis counted from the end where negative. */
export function resolveAxis(axis: number, rank: number, op: string): number {
  const resolved = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(resolved) || resolved < 0 || resolved >= rank) {
    throw new CoreError('CORE_ARGUMENT', `${op}: axis ${axis} is not an axis of a tensor of rank ${rank}`, {
      value: axis,
    });
  }
  return resolved;
}
