import type { BlockFormat, FourBitBlockSize, FourBitFormat, QuantizedMatmulSpec } from '@lowrank/core';
import { decodeArray, isFourBitFormat } from '@lowrank/core';
import * as bounds from '../bounds.ts';
import type { Case, Input } from '../case.ts';
import { integers, uniform } from '../inputs.ts';
import { blockSizeOf, randomBlocks, randomFourBit } from '../quantized-bytes.ts';

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

/** More rows of either operand than 65,535; for one format, as the others' blocks are laid out alike. */
const manyRows: readonly [m: number, rows: number, blocks: number][] = [
  [1, 65_543, 1],
  [65_543, 1, 1],
];

/**
 * nf4 and fp4 in blocks that cross rows, of odd rows, with a short last one, of more than 256 scales, and of many in a row.
 * m, rows, columns, block size, double quantization.
 */
const fourBitSizes: readonly [
  m: number,
  rows: number,
  columns: number,
  blockSize: FourBitBlockSize,
  double: boolean,
][] = [
  [5, 67, 576, 128, true],
  [3, 67, 576, 128, false],
  [9, 13, 43, 64, true],
  [7, 5, 33, 32, false],
  [1, 1, 1, 256, false],
  [1, 131, 101, 32, true],
  [35, 17, 256, 256, true],
  [2, 3, 517, 64, false],
];

/** For every format that the manifest names. */
export function quantizedCases(formats: readonly BlockFormat[]): Case[] {
  return formats.flatMap((format) => {
    const blockSize = blockSizeOf(format);
    if (blockSize === undefined) return [];
    // Formats of single elements get rows of odd length.
    const step = blockSize === 1 ? 29 : blockSize;
    return [
      ...[...sizes, ...(format === 'q4_0' ? manyRows : [])].flatMap(([m, rows, blocks]) =>
        [false, true].flatMap((transposed) => productCases({ format, m, rows, columns: blocks * step, transposed })),
      ),
      ...(
        [
          [67, 2, 129],
          [1, 1, 1],
          [5, 1, 0],
        ] as const
      ).map(([rows, blocks, count]) => rowsCase(format, rows, blocks * step, count)),
      ...(format === 'q4_0' ? [rowsCase(format, 3, step, 65_543)] : []),
      ...(isFourBitFormat(format) ? fourBitCases(format) : []),
    ];
  });
}

function fourBitCases(format: FourBitFormat): Case[] {
  return fourBitSizes.flatMap(([m, rows, columns, blockSize, doubleQuantization]) => {
    const how = `blocks of ${blockSize}${doubleQuantization ? ', double' : ''}`;
    const data = randomFourBit(`${format} ${rows} ${columns} ${how}`, rows, columns, {
      format,
      blockSize,
      doubleQuantization,
    });
    return [
      ...productCases({ format, m, rows, columns, transposed: false }, data, how),
      ...productCases({ format, m, rows, columns, transposed: true }, data, how),
      rowsCase(format, rows, columns, m, data, how),
    ];
  });
}

function productCases(spec: QuantizedMatmulSpec, bytes?: Uint8Array, how = ''): Case[] {
  const { format, m, rows, columns, transposed } = spec;
  const name = `${format} [${rows}, ${columns}] with ${m}${transposed ? ', toward x' : ''}${how && `, ${how}`}`;
  const shape = [rows, columns] as const;
  const x = uniform(`quantized x ${name}`, m * (transposed ? rows : columns));
  const data = bytes ?? randomBlocks(`quantized w ${name}`, format, rows, columns);
  const inputs: Input[] = [
    { name: 'x', data: x },
    { name: 'weight', data, format, shape },
  ];
  const decoded = (): ReturnType<typeof decodeArray> => decodeArray({ format, shape, data });
  const target = uniform(`quantized target ${name}`, m * (transposed ? columns : rows));
  return [
    {
      kernel: 'matmulQuantized',
      name,
      inputs,
      outputs: ['y'],
      run: (kernels, [p, w]) => [kernels.matmulQuantized(p!, w!, spec)],
      bound: (u, _, operands) => [bounds.quantizedProduct(x, decoded(), spec, u, operands)],
    },
    {
      kernel: 'matmulQuantizedAccumulate',
      name,
      inputs: [...inputs, { name: 'target', data: target }],
      outputs: [],
      run(kernels, [p, w, to]) {
        kernels.matmulQuantizedAccumulate(to!, p!, w!, spec);
        return [];
      },
      mutates: [2],
      bound: (u, _, operands) => [bounds.accumulatedQuantized(target, x, decoded(), spec, u, operands)],
    },
  ];
}

function rowsCase(
  format: BlockFormat,
  rows: number,
  columns: number,
  count: number,
  bytes?: Uint8Array,
  how = '',
): Case {
  const name = `${format}, ${count} of [${rows}, ${columns}]${how && `, ${how}`}`;
  const data = bytes ?? randomBlocks(`quantized table ${name}`, format, rows, columns);
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
