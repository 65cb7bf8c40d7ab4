import type { ReduceOp } from '@lowrank/core';
import * as bounds from '../bounds.ts';
import type { Case } from '../case.ts';
import { uniform } from '../inputs.ts';

/** [outer, axis, inner]: whole arrays, rows, columns, middles, of nothing, of one, and more than 65,535 of each. */
const shapes: readonly [number, number, number][] = [
  [1, 0, 1],
  [3, 0, 5],
  [0, 4, 3],
  [4, 3, 0],
  [1, 1, 1],
  [1, 4099, 1],
  [61, 67, 1],
  [1, 67, 61],
  [5, 129, 7],
  [3, 1, 31],
  [2, 1031, 3],
  [65_543, 3, 1],
  [1, 3, 65_543],
  [1, 65_543, 1],
];

function reduceCase(
  op: ReduceOp,
  name: string,
  x: Float32Array,
  [outer, axis, inner]: readonly [number, number, number],
  flags: Partial<Case> = {},
): Case {
  return {
    kernel: 'reduce',
    name: `${op}, ${name}`,
    inputs: [{ name: 'x', data: x }],
    outputs: ['y'],
    run: (kernels, [operand]) => [kernels.reduce(op, operand!, outer, axis, inner)],
    bound: (u) => [bounds.reduction(op, x, outer, axis, inner, u)],
    ...flags,
  };
}

export function reduceCases(): Case[] {
  const ops: ReduceOp[] = ['sum', 'max', 'min'];
  return ops.flatMap((op) => [
    ...shapes.map((shape) => {
      const name = `[${shape.join(', ')}]`;
      // The maximum of nothing is infinite.
      const flags: Partial<Case> = op !== 'sum' && shape[1] === 0 ? { nonFinite: true } : {};
      return reduceCase(op, name, uniform(`reduce ${op} ${name}`, shape[0] * shape[1] * shape[2]), shape, flags);
    }),
    // All of one sign: a maximum that starts from 0 would show.
    reduceCase(op, 'all negative', uniform(`reduce ${op} negative`, 61 * 67, -2, -1), [61, 67, 1]),
    reduceCase(op, 'all positive', uniform(`reduce ${op} positive`, 61 * 67, 1, 2), [61, 67, 1]),
    reduceCase(op, 'not a number', Float32Array.of(1, NaN, 2, NaN, 1, 2, 1, 2, NaN, 3, 4, 5), [4, 3, 1], {
      nonFinite: true,
    }),
    reduceCase(op, 'infinities', Float32Array.of(1, Infinity, 2, -Infinity, 1, 2, Infinity, 0, -Infinity), [3, 3, 1], {
      nonFinite: true,
    }),
  ]);
}
