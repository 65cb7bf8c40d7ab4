import type { BlockFormat, QuantizedMatmulSpec } from '@lowrank/core';
import { decodeArray } from '@lowrank/core';
import * as bounds from '../bounds.ts';
import type { Case } from '../case.ts';
import { integers, uniform } from '../inputs.ts';
import { blockSizeOf, randomBlocks } from '../quantized-bytes.ts';

/** m, rows, blocks in a row: one of each, primes, more than a tile. */
const sizes: readonly [m: number, rows: number, blocks: number][] = [
  [1, 1, 1],
  [1, 67, 3],
  [7, 13, 2],
  [33, 37, 1],
  [67, 5, 1],
  [0, 3, 1],
  [3, 0, 1],
];

/** For every format that the manifest names. */
export function quantizedCases(formats: readonly BlockFormat[]): Case[] {
  return formats.flatMap((format) => {
    const blockSize = blockSizeOf(format);
    if (blockSize === undefined) return [];
    // Formats of single elements get rows of odd length.
    const step = blockSize === 1 ? 29 : blockSize;
    return [
      ...sizes.flatMap(([m, rows, blocks]) =>
        [false, true].map((transposed) => productCase({ format, m, rows, columns: blocks * step, transposed })),
      ),
      ...(
        [
          [67, 2, 129],
          [1, 1, 1],
          [5, 1, 0],
        ] as const
      ).map(([rows, blocks, count]) => rowsCase(format, rows, blocks * step, count)),
    ];
  });
}

function productCase(spec: QuantizedMatmulSpec): Case {
  const { format, m, rows, columns, transposed } = spec;
  const name = `${format} [${rows}, ${columns}] with ${m}${transposed ? ', toward x' : ''}`;
  const shape = [rows, columns] as const;
  const x = uniform(`quantized x ${name}`, m * (transposed ? rows : columns));
  const data = randomBlocks(`quantized w ${name}`, format, rows, columns);
  return {
    kernel: 'matmulQuantized',
    name,
    inputs: [
      { name: 'x', data: x },
      { name: 'weight', data, format, shape },
    ],
    outputs: ['y'],
    run: (kernels, [p, w]) => [kernels.matmulQuantized(p!, w!, spec)],
    bound: (u) => [bounds.quantizedProduct(x, decodeArray({ format, shape, data }), spec, u)],
  };
}

function rowsCase(format: BlockFormat, rows: number, columns: number, count: number): Case {
  const name = `${format}, ${count} of [${rows}, ${columns}]`;
  const data = randomBlocks(`quantized table ${name}`, format, rows, columns);
  return {
    kernel: 'gatherQuantized',
    name,
    inputs: [
      { name: 'table', data, format, shape: [rows, columns] },
      { name: 'indices', data: integers(`quantized indices ${name}`, count, rows) },
    ],
    outputs: ['y'],
    run: (kernels, [table, indices]) => [kernels.gatherQuantized(table!, format, rows, columns, indices!, count)],
    bound: (u, [y]) => [bounds.rounded(y!, u)],
  };
}
