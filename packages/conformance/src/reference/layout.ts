/** Primitives that move elements and compute nothing. */
import type { Shape } from '@lowrank/core';
import { product } from './elementwise.ts';

type Numbers = Float64Array | Int32Array;

/** Steps from one index to the next on each axis, in elements. */
function strides(shape: Shape): number[] {
  const steps = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) steps[axis] = steps[axis + 1]! * shape[axis + 1]!;
  return steps;
}

/** Calls `visit(i, offset)` for element i of `shape` in row-major order, with offset = first + sum index * step. */
function walk(shape: Shape, first: number, steps: readonly number[], visit: (i: number, offset: number) => void): void {
  const index = shape.map(() => 0);
  const length = product(shape);
  let offset = first;
  for (let i = 0; i < length; i++) {
    visit(i, offset);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      offset += steps[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      offset -= steps[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
}

function emptyLike(x: Numbers, length: number): Numbers {
  return x instanceof Int32Array ? new Int32Array(length) : new Float64Array(length);
}

export function permute(x: Numbers, shape: Shape, axes: readonly number[]): Numbers {
  const steps = strides(shape);
  const out = emptyLike(x, x.length);
  walk(
    axes.map((axis) => shape[axis]!),
    0,
    axes.map((axis) => steps[axis]!),
    (i, offset) => {
      out[i] = x[offset]!;
    },
  );
  return out;
}

export function slice(x: Numbers, shape: Shape, start: readonly number[], size: readonly number[]): Numbers {
  const steps = strides(shape);
  const out = emptyLike(x, product(size));
  walk(size, offsetOf(start, steps), steps, (i, offset) => {
    out[i] = x[offset]!;
  });
  return out;
}

export function writeSlice(
  target: Numbers,
  shape: Shape,
  source: Numbers,
  start: readonly number[],
  size: readonly number[],
): void {
  const steps = strides(shape);
  walk(size, offsetOf(start, steps), steps, (i, offset) => {
    target[offset] = source[i]!;
  });
}

export function concat(parts: readonly Numbers[], outer: number, axes: readonly number[], inner: number): Numbers {
  const total = axes.reduce((sum, axis) => sum + axis, 0);
  const out = emptyLike(parts[0]!, outer * total * inner);
  let before = 0;
  for (const [p, part] of parts.entries()) {
    const run = axes[p]! * inner;
    for (let o = 0; o < outer; o++) {
      out.set(part.subarray(o * run, (o + 1) * run), o * total * inner + before);
    }
    before += run;
  }
  return out;
}

function offsetOf(start: readonly number[], steps: readonly number[]): number {
  return start.reduce((offset, index, axis) => offset + index * steps[axis]!, 0);
}
