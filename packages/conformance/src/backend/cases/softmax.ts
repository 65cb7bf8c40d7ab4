import * as bounds from '../bounds.ts';
import type { Case, GradientCase } from '../case.ts';
import { uniform } from '../inputs.ts';

/** [rows, columns] */
const sizes: readonly [number, number][] = [
  [1, 1],
  [0, 5],
  [5, 0],
  [3, 7],
  [61, 67],
  [2, 1031],
  [7, 256],
  [65_543, 2],
];

function softmaxCase(name: string, x: Float32Array, rows: number, columns: number, flags: Partial<Case> = {}): Case {
  return {
    kernel: 'softmax',
    name,
    inputs: [{ name: 'x', data: x }],
    outputs: ['y'],
    run: (kernels, [operand]) => [kernels.softmax(operand!, rows, columns)],
    bound: (u) => [bounds.softmax(x, rows, columns, u)],
    ...flags,
  };
}

export function softmaxCases(): Case[] {
  return [
    ...sizes.map(([rows, columns]) => {
      const name = `[${rows}, ${columns}]`;
      return softmaxCase(name, uniform(`softmax ${name}`, rows * columns, -8, 8), rows, columns);
    }),
    softmaxCase('far from zero', uniform('softmax far', 5 * 33, 1000, 1010), 5, 33),
    softmaxCase('far apart', uniform('softmax apart', 5 * 33, -500, 500), 5, 33),
    softmaxCase(
      'rising',
      Float32Array.from({ length: 257 }, (_, i) => i / 16),
      1,
      257,
    ),
    softmaxCase('masked with -Infinity', Float32Array.of(1, -Infinity, 2, -Infinity, -Infinity, 3), 2, 3, {
      nonFinite: true,
    }),
    softmaxCase(
      'NaN stays in its row',
      Float32Array.of(1, NaN, 2, 0, 1, 2, Infinity, 0, 1, -Infinity, -Infinity, -Infinity),
      4,
      3,
      { nonFinite: true },
    ),
    ...sizes.map(([rows, columns]): Case => {
      const y = probabilities(`y [${rows}, ${columns}]`, rows, columns);
      const dy = uniform(`softmax dy ${rows} ${columns}`, rows * columns);
      return {
        kernel: 'softmaxBackward',
        name: `[${rows}, ${columns}]`,
        inputs: [
          { name: 'y', data: y },
          { name: 'dy', data: dy },
        ],
        outputs: ['dx'],
        run: (kernels, [p, q]) => [kernels.softmaxBackward(p!, q!, rows, columns)],
        bound: (u) => [bounds.softmaxBackward(y, dy, rows, columns, u)],
      };
    }),
  ];
}

/** Positive rows that sum to about one. */
function probabilities(name: string, rows: number, columns: number): Float32Array {
  return uniform(name, rows * columns, 0, 2).map((value) => value / columns);
}

export function softmaxGradients(): GradientCase[] {
  return (
    [
      [1, 1],
      [3, 7],
      [5, 13],
    ] as const
  ).map(([rows, columns]) => ({
    kernel: 'softmaxBackward',
    name: `[${rows}, ${columns}]`,
    inputs: [{ name: 'x', data: uniform(`softmax gradient ${rows}`, rows * columns, -3, 3) }],
    toward: [0],
    forward: (kernels, [x]) => [kernels.softmax(x!, rows, columns)],
    loss: 0,
    backward: (kernels, _, [y], dy) => [kernels.softmaxBackward(y!, dy, rows, columns)],
    bound: (u, _, [y], dy) => [bounds.softmaxBackward(y!, dy, rows, columns, u)],
  }));
}
