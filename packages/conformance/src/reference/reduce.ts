/** Reductions of the middle axis of [outer, axis, inner], in ascending order. */
import type { ReduceOp } from '@lowrank/core';

const start: Record<ReduceOp, number> = { sum: 0, max: -Infinity, min: Infinity };

const combine: Record<ReduceOp, (soFar: number, x: number) => number> = {
  sum: (soFar, x) => soFar + x,
  max: Math.max,
  min: Math.min,
};

export function reduce(op: ReduceOp, x: Float64Array, outer: number, axis: number, inner: number): Float64Array {
  const step = combine[op];
  const out = new Float64Array(outer * inner).fill(start[op]);
  for (let o = 0; o < outer; o++) {
    for (let k = 0; k < axis; k++) {
      for (let i = 0; i < inner; i++) {
        out[o * inner + i] = step(out[o * inner + i]!, x[(o * axis + k) * inner + i]!);
      }
    }
  }
  return out;
}
