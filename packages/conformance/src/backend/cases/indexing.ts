import * as bounds from '../bounds.ts';
import type { Case } from '../case.ts';
import { integers, uniform } from '../inputs.ts';

/** [rows, columns, count] */
const sizes: readonly [number, number, number][] = [
  [1, 1, 1],
  [5, 3, 0],
  [5, 0, 4],
  [31, 67, 129],
  [1031, 1, 257],
  [3, 257, 61],
  [65_543, 2, 67],
  [11, 1, 65_543],
];

export function indexingCases(): Case[] {
  return sizes.flatMap(([rows, columns, count]) => {
    const name = `${count} of [${rows}, ${columns}]`;
    const indices = integers(`indices ${name}`, count, rows);
    if (count > 2) indices.set([0, rows - 1], 0);
    return [gatherCase(name, rows, columns, indices), scatterCase(name, rows, columns, indices)];
  });
}

function gatherCase(name: string, rows: number, columns: number, indices: Int32Array): Case {
  return {
    kernel: 'gather',
    name,
    inputs: [
      { name: 'table', data: uniform(`gather ${name}`, rows * columns) },
      { name: 'indices', data: indices },
    ],
    outputs: ['y'],
    run: (kernels, [table, index]) => [kernels.gather(table!, rows, columns, index!, indices.length)],
    bound: (_, [y]) => [bounds.exact(y!.length)],
  };
}

/** Rows that no index names must be zero, whatever the memory held before. */
function scatterCase(name: string, rows: number, columns: number, indices: Int32Array): Case {
  const source = uniform(`scatter ${name}`, indices.length * columns);
  return {
    kernel: 'scatterAdd',
    name,
    inputs: [
      { name: 'source', data: source },
      { name: 'indices', data: indices },
    ],
    outputs: ['y'],
    run: (kernels, [from, index]) => [kernels.scatterAdd(from!, index!, indices.length, rows, columns)],
    bound: (u) => [bounds.scatter(source, indices, rows, columns, u)],
  };
}
