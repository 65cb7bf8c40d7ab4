import type { AttentionSpec } from '@lowrank/core';
import { attention } from '../../reference/attention.ts';
import * as bounds from '../bounds.ts';
import type { Case, GradientCase } from '../case.ts';
import { uniform } from '../inputs.ts';

interface Example {
  readonly name: string;
  readonly spec: AttentionSpec;
  readonly q: Float32Array;
  readonly k: Float32Array;
  readonly v: Float32Array;
  readonly dOutput: Float32Array;
}

/** `sequences`: [queries, keys] of each; they lie one behind the other. */
function example(
  title: string,
  [heads, kvHeads, headSize]: readonly [number, number, number],
  sequences: readonly (readonly [number, number])[],
  spread = 1,
): Example {
  const segments: number[] = [];
  let [queries, keys] = [0, 0];
  for (const [queryCount, keyCount] of sequences) {
    segments.push(queries, queryCount, keys, keyCount);
    queries += queryCount;
    keys += keyCount;
  }
  const name = `${title}: ${heads} heads of ${headSize} on ${kvHeads}`;
  const make = (part: string, length: number, size = 1): Float32Array =>
    uniform(`attention ${part} ${name}`, length, -size, size);
  return {
    name,
    spec: {
      queries,
      keys,
      heads,
      kvHeads,
      headSize,
      scale: 1 / Math.sqrt(headSize),
      segments: Int32Array.from(segments),
    },
    q: make('q', queries * heads * headSize, spread),
    k: make('k', keys * kvHeads * headSize, spread),
    v: make('v', keys * kvHeads * headSize),
    dOutput: make('dOutput', queries * heads * headSize),
  };
}

function examples(): Example[] {
  return [
    example('one token', [1, 1, 1], [[1, 1]]),
    example('one sequence', [1, 1, 4], [[5, 5]]),
    example('grouped', [6, 2, 8], [[7, 7]]),
    example('one key head for all', [4, 1, 6], [[9, 9]]),
    example(
      'three sequences',
      [2, 1, 10],
      [
        [3, 3],
        [1, 1],
        [11, 11],
      ],
    ),
    example(
      'an empty sequence',
      [2, 2, 4],
      [
        [3, 3],
        [0, 0],
        [2, 2],
      ],
    ),
    example(
      'a cache before',
      [4, 2, 8],
      [
        [1, 37],
        [3, 20],
      ],
    ),
    example('nothing', [2, 1, 4], []),
    example(
      'longer than a tile',
      [3, 1, 64],
      [
        [67, 67],
        [33, 33],
      ],
    ),
    example('odd and long', [2, 2, 17], [[131, 131]]),
    example('sharp', [2, 1, 16], [[19, 19]], 12),
    example(
      'more tokens than 65,535',
      [1, 1, 2],
      Array.from({ length: 3_856 }, () => [17, 17] as const),
    ),
  ];
}

/** Segments need not lie in order, nor cover all keys: the gradient of the others is zero. */
function shuffled(): Example {
  const base = example(
    'segments out of order',
    [2, 1, 6],
    [
      [3, 5],
      [4, 4],
      [2, 3],
    ],
  );
  return { ...base, spec: { ...base.spec, segments: Int32Array.of(7, 2, 0, 3, 0, 3, 7, 4, 3, 4, 3, 4) } };
}

function operands({ q, k, v }: Example): { name: string; data: Float32Array }[] {
  return [
    { name: 'q', data: q },
    { name: 'k', data: k },
    { name: 'v', data: v },
  ];
}

/** The forward results as a backend keeps them: rounded to float32. */
function kept({ q, k, v, spec }: Example): { output: Float32Array; logSumExp: Float32Array } {
  const [a, b, c] = [q, k, v].map((values) => Float64Array.from(values)) as [Float64Array, Float64Array, Float64Array];
  const { output, logSumExp } = attention(a, b, c, spec);
  return { output: Float32Array.from(output), logSumExp: Float32Array.from(logSumExp) };
}

export function attentionCases(): Case[] {
  return [...examples(), shuffled()].flatMap((row): Case[] => {
    const { name, spec, q, k, v, dOutput } = row;
    const { output, logSumExp } = kept(row);
    return [
      {
        kernel: 'attention',
        name,
        inputs: operands(row),
        outputs: ['output', 'logSumExp'],
        run(kernels, [a, b, c]) {
          const results = kernels.attention(a!, b!, c!, spec);
          return [results.output, results.logSumExp];
        },
        bound: (u) => bounds.attention({ q, k, v, spec }, u),
      },
      {
        kernel: 'attentionBackward',
        name,
        inputs: [
          ...operands(row),
          { name: 'output', data: output },
          { name: 'logSumExp', data: logSumExp },
          { name: 'dOutput', data: dOutput },
        ],
        outputs: ['dq', 'dk', 'dv'],
        run(kernels, [a, b, c, y, total, dy]) {
          const { dq, dk, dv } = kernels.attentionBackward(a!, b!, c!, y!, total!, dy!, spec);
          return [dq, dk, dv];
        },
        bound: (u) => bounds.attentionBackward({ q, k, v, spec }, output, dOutput, u),
      },
    ];
  });
}

export function attentionGradients(): GradientCase[] {
  const rows = [
    example('grouped', [4, 2, 6], [[5, 5]]),
    example(
      'two sequences, one with a cache',
      [2, 1, 5],
      [
        [3, 3],
        [2, 6],
      ],
    ),
  ];
  return rows.map((row) => {
    const { name, spec, q, k, v } = row;
    return {
      kernel: 'attentionBackward',
      name,
      inputs: operands(row),
      toward: [0, 1, 2],
      forward(kernels, [a, b, c]) {
        const results = kernels.attention(a!, b!, c!, spec);
        return [results.output, results.logSumExp];
      },
      loss: 0,
      backward(kernels, [a, b, c], [y, total], dy) {
        const { dq, dk, dv } = kernels.attentionBackward(a!, b!, c!, y!, total!, dy, spec);
        return [dq, dk, dv];
      },
      bound: (u, _, [y], dy) => bounds.attentionBackward({ q, k, v, spec }, y!, dy, u),
    };
  });
}
