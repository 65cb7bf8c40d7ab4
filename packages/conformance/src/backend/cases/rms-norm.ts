import * as bounds from '../bounds.ts';
import type { Case, GradientCase } from '../case.ts';
import { uniform } from '../inputs.ts';

/** [rows, columns] */
const sizes: readonly [number, number][] = [
  [1, 1],
  [0, 5],
  [3, 0],
  [3, 7],
  [61, 67],
  [2, 1031],
  [9, 64],
  [65_543, 2],
];

interface Example {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly epsilon: number;
  readonly x: Float32Array;
  readonly weight: Float32Array;
  readonly dy: Float32Array;
}

function example(rows: number, columns: number, name = `[${rows}, ${columns}]`, scale = 2, epsilon = 1e-5): Example {
  return {
    name,
    rows,
    columns,
    epsilon,
    x: uniform(`rms x ${name}`, rows * columns, -scale, scale),
    weight: uniform(`rms weight ${name}`, columns, 0.5, 1.5),
    dy: uniform(`rms dy ${name}`, rows * columns),
  };
}

function casesOf({ name, rows, columns, epsilon, x, weight, dy }: Example): Case[] {
  const operand = { x: { name: 'x', data: x }, weight: { name: 'weight', data: weight }, dy: { name: 'dy', data: dy } };
  return [
    {
      kernel: 'rmsNorm',
      name,
      inputs: [operand.x, operand.weight],
      outputs: ['y'],
      run: (kernels, [p, w]) => [kernels.rmsNorm(p!, w!, rows, columns, epsilon)],
      bound: (u, [y]) => [bounds.rmsNorm(y!, columns, u)],
    },
    {
      kernel: 'rmsNormBackward',
      name,
      inputs: [operand.x, operand.weight, operand.dy],
      outputs: ['dx'],
      run: (kernels, [p, w, q]) => [kernels.rmsNormBackward(p!, w!, q!, rows, columns, epsilon)],
      bound: (u) => [bounds.rmsNormBackward(x, weight, dy, rows, columns, epsilon, u)],
    },
    {
      kernel: 'rmsNormWeightBackward',
      name,
      inputs: [operand.x, operand.dy],
      outputs: ['dWeight'],
      run: (kernels, [p, q]) => [kernels.rmsNormWeightBackward(p!, q!, rows, columns, epsilon)],
      bound: (u) => [bounds.rmsNormWeightBackward(x, dy, rows, columns, epsilon, u)],
    },
  ];
}

export function rmsNormCases(): Case[] {
  const poisoned = example(3, 5, 'NaN stays in its row');
  poisoned.x[6] = NaN;
  return [
    ...sizes.map(([rows, columns]) => example(rows, columns)),
    // Where epsilon is most of the mean, and where it is nothing beside it.
    example(5, 67, 'nearly zero', 1e-3),
    example(5, 67, 'large', 1e4),
    example(5, 67, 'large epsilon', 1, 0.5),
    { ...example(2, 31, 'zeros'), x: new Float32Array(2 * 31) },
  ]
    .flatMap(casesOf)
    .concat(casesOf(poisoned).map((row) => ({ ...row, nonFinite: true as const })));
}

export function rmsNormGradients(): GradientCase[] {
  return (
    [
      [1, 1],
      [3, 7],
      [4, 17],
    ] as const
  ).flatMap(([rows, columns]): GradientCase[] => {
    const { x, weight, epsilon, name } = example(rows, columns);
    const shared = {
      name,
      inputs: [
        { name: 'x', data: x },
        { name: 'weight', data: weight },
      ],
      forward: (kernels, [p, w]) => [kernels.rmsNorm(p!, w!, rows, columns, epsilon)],
      loss: 0,
    } satisfies Partial<GradientCase>;
    return [
      {
        ...shared,
        kernel: 'rmsNormBackward',
        toward: [0],
        backward: (kernels, [p, w], _, dy) => [kernels.rmsNormBackward(p!, w!, dy, rows, columns, epsilon)],
        bound: (u, _, __, dy) => [bounds.rmsNormBackward(x, weight, dy, rows, columns, epsilon, u)],
      },
      {
        ...shared,
        kernel: 'rmsNormWeightBackward',
        toward: [1],
        backward: (kernels, [p], _, dy) => [kernels.rmsNormWeightBackward(p!, dy, rows, columns, epsilon)],
        bound: (u, _, __, dy) => [bounds.rmsNormWeightBackward(x, dy, rows, columns, epsilon, u)],
      },
    ];
  });
}
