/** permute, slice, writeSlice, concat: bits are moved, in f32 and i32. */
import * as bounds from '../bounds.ts';
import type { Case } from '../case.ts';
import { integers, uniform } from '../inputs.ts';

type Data = Float32Array | Int32Array;

const count = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);
const show = (shape: readonly number[]): string => `[${shape.join(', ')}]`;
const moved: Case['bound'] = (_, expected) => expected.map((result) => bounds.exact(result.length));

/** The same case on floats and on integers that float32 would round. */
function both(name: string, shape: readonly number[], make: (data: Data) => Omit<Case, 'bound' | 'name'>): Case[] {
  const numbers = uniform(name, count(shape));
  const whole = integers(name, count(shape), 2 ** 31 - 1);
  return [
    { ...make(numbers), name: `f32, ${name}`, bound: moved },
    { ...make(whole), name: `i32, ${name}`, bound: moved },
  ];
}

function permuteCases(): Case[] {
  const table: readonly [number[], number[]][] = [
    [[5], [0]],
    [
      [0, 3],
      [1, 0],
    ],
    [
      [1, 257],
      [1, 0],
    ],
    [
      [61, 67],
      [1, 0],
    ],
    [
      [61, 67],
      [0, 1],
    ],
    [
      [3, 5, 7],
      [2, 0, 1],
    ],
    [
      [3, 5, 7],
      [0, 2, 1],
    ],
    [
      [3, 5, 7],
      [1, 0, 2],
    ],
    [
      [2, 3, 5, 7],
      [0, 2, 1, 3],
    ],
    [
      [2, 3, 5, 7],
      [3, 1, 0, 2],
    ],
    [
      [2, 3, 2, 3, 2],
      [4, 2, 0, 1, 3],
    ],
    [
      [65_543, 2],
      [1, 0],
    ],
  ];
  return table.flatMap(([shape, axes]) =>
    both(`${show(shape)} by ${show(axes)}`, shape, (data) => ({
      kernel: 'permute',
      inputs: [{ name: 'x', data }],
      outputs: ['y'],
      run: (kernels, [x]) => [kernels.permute(x!, shape, axes)],
    })),
  );
}

/** [shape, start, size] */
const windows: readonly [number[], number[], number[]][] = [
  [
    [65_543, 3],
    [1, 1],
    [65_541, 2],
  ],
  [[7], [0], [7]],
  [[7], [3], [0]],
  [[257], [5], [129]],
  [
    [61, 67],
    [0, 3],
    [61, 33],
  ],
  [
    [61, 67],
    [60, 0],
    [1, 67],
  ],
  [
    [61, 67],
    [7, 66],
    [31, 1],
  ],
  [
    [3, 5, 7],
    [1, 2, 3],
    [2, 3, 4],
  ],
  [
    [2, 3, 5, 7],
    [1, 0, 4, 2],
    [1, 3, 1, 5],
  ],
];

function sliceCases(): Case[] {
  return windows.flatMap(([shape, start, size]) =>
    both(`${show(size)} at ${show(start)} of ${show(shape)}`, shape, (data) => ({
      kernel: 'slice',
      inputs: [{ name: 'x', data }],
      outputs: ['y'],
      run: (kernels, [x]) => [kernels.slice(x!, shape, start, size)],
    })),
  );
}

function writeSliceCases(): Case[] {
  return windows.flatMap(([shape, start, size]) =>
    both(`${show(size)} at ${show(start)} of ${show(shape)}`, shape, (data) => ({
      kernel: 'writeSlice',
      inputs: [
        { name: 'target', data },
        { name: 'source', data: data.slice(0, count(size)).map((value) => -value) },
      ],
      outputs: [],
      mutates: [0],
      run(kernels, [target, source]) {
        kernels.writeSlice(target!, shape, source!, start, size);
        return [];
      },
    })),
  );
}

function concatCases(): Case[] {
  /** [outer, axes, inner] */
  const table: readonly [number, number[], number][] = [
    [1, [5], 1],
    [1, [3, 0, 4], 1],
    [0, [2, 3], 4],
    [1, [257, 129], 1],
    [61, [3, 5, 7], 1],
    [1, [3, 5], 67],
    [7, [1, 1], 11],
    [5, [2, 3, 1, 4], 13],
    [65_543, [1, 2], 1],
  ];
  return table.flatMap(([outer, axes, inner]) => {
    const whole = [outer, axes.reduce((sum, axis) => sum + axis, 0), inner];
    return both(`${outer} of ${show(axes)} of ${inner}`, whole, (data) => {
      let from = 0;
      const inputs = axes.map((axis, i) => {
        const part = { name: `parts[${i}]`, data: data.slice(from, from + outer * axis * inner) };
        from += outer * axis * inner;
        return part;
      });
      return {
        kernel: 'concat',
        inputs,
        outputs: ['y'],
        run: (kernels, parts) => [kernels.concat(parts, outer, axes, inner)],
      };
    });
  });
}

export function layoutCases(): Case[] {
  return [...permuteCases(), ...sliceCases(), ...writeSliceCases(), ...concatCases()];
}
