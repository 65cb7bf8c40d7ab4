import type { RopeSpec } from '@lowrank/core';
import * as bounds from '../bounds.ts';
import type { Case, GradientCase } from '../case.ts';
import { integers, uniform } from '../inputs.ts';

interface Example {
  readonly name: string;
  readonly spec: RopeSpec;
  readonly x: Float32Array;
  readonly cos: Float32Array;
  readonly sin: Float32Array;
  readonly positions: Int32Array;
}

function example(
  [tokens, heads, headSize, rotary, tableRows]: readonly [number, number, number, number, number],
  pairing: RopeSpec['pairing'],
  inverse: boolean,
): Example {
  const name = `${tokens} tokens, ${heads} heads of ${headSize}, ${rotary} turn, ${pairing}${inverse ? ', inverse' : ''}`;
  const positions = integers(`rope positions ${name}`, tokens, tableRows);
  if (tokens > 1) positions.set([tableRows - 1], 0);
  return {
    name,
    spec: { tokens, heads, headSize, rotary, tableRows, pairing, inverse },
    x: uniform(`rope x ${name}`, tokens * heads * headSize),
    // Any table will do: backends must read it, not compute it.
    cos: uniform(`rope cos ${name}`, (tableRows * rotary) / 2),
    sin: uniform(`rope sin ${name}`, (tableRows * rotary) / 2),
    positions,
  };
}

/** [tokens, heads, headSize, rotary, tableRows] */
const sizes: readonly (readonly [number, number, number, number, number])[] = [
  [1, 1, 2, 2, 1],
  [0, 2, 4, 4, 3],
  [7, 3, 8, 8, 11],
  [5, 2, 10, 6, 5],
  [67, 3, 64, 64, 129],
  [3, 5, 6, 0, 2],
  [65_543, 1, 2, 2, 3],
];

const pairings: readonly RopeSpec['pairing'][] = ['interleaved', 'half'];

export function ropeCases(): Case[] {
  return sizes.flatMap((size) =>
    pairings.flatMap((pairing) =>
      [false, true].map((inverse): Case => {
        const { name, spec, x, cos, sin, positions } = example(size, pairing, inverse);
        return {
          kernel: 'rope',
          name,
          inputs: [
            { name: 'x', data: x },
            { name: 'cos', data: cos },
            { name: 'sin', data: sin },
            { name: 'positions', data: positions },
          ],
          outputs: ['y'],
          run: (kernels, [p, c, s, at]) => [kernels.rope(p!, c!, s!, at!, spec)],
          bound: (u) => [bounds.rotation(x, cos, sin, positions, spec, u)],
        };
      }),
    ),
  );
}

/** The gradient is the kernel itself, turned back. */
export function ropeGradients(): GradientCase[] {
  return pairings.map((pairing) => {
    const { name, spec, x, cos, sin, positions } = example([5, 2, 10, 6, 7], pairing, false);
    return {
      kernel: 'rope',
      name,
      inputs: [
        { name: 'x', data: x },
        { name: 'cos', data: cos },
        { name: 'sin', data: sin },
        { name: 'positions', data: positions },
      ],
      toward: [0],
      forward: (kernels, [p, c, s, at]) => [kernels.rope(p!, c!, s!, at!, spec)],
      loss: 0,
      backward: (kernels, [, c, s, at], _, dy) => [kernels.rope(dy, c!, s!, at!, { ...spec, inverse: true })],
      bound: (u, _, __, dy) => [bounds.rotation(dy, cos, sin, positions, spec, u)],
    };
  });
}
