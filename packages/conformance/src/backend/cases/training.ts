/** dropout, sumOfSquares, adamw and adamw8bit. */
import { dynamicMap, unsignedDynamicMap, type AdamWSpec, type DropoutSpec, type Storage } from '@lowrank/core';
import { decodeMoment, midpointsOf, type CodedMoment } from '../../reference/adamw8bit.ts';
import { adamw } from '../../reference/adamw.ts';
import * as bounds from '../bounds.ts';
import type { Case, GradientCase } from '../case.ts';
import { integers, uniform } from '../inputs.ts';

const masks: readonly DropoutSpec[] = [
  { rows: 1, columns: 1, probability: 0.5, key: [1, 2], stream: [3, 4] },
  { rows: 0, columns: 5, probability: 0.5, key: [1, 2], stream: [3, 4] },
  { rows: 61, columns: 67, probability: 0.1, key: [0xdeadbeef, 7], stream: [0, 0xffffffff] },
  { rows: 7, columns: 8, probability: 0.5, key: [0, 0], stream: [0, 0] },
  { rows: 3, columns: 1031, probability: 0.9, key: [0xffffffff, 0xffffffff], stream: [12, 0x80000000] },
  { rows: 5, columns: 33, probability: 0, key: [5, 6], stream: [7, 8] },
  { rows: 65_543, columns: 1, probability: 0.25, key: [5, 6], stream: [7, 8] },
];

function dropoutCases(): Case[] {
  return masks.map((spec) => {
    const name = `[${spec.rows}, ${spec.columns}], p = ${spec.probability}`;
    return {
      kernel: 'dropout',
      name,
      // No zeros among the inputs: a zero in the result is the mask's.
      inputs: [{ name: 'x', data: uniform(`dropout ${name}`, spec.rows * spec.columns, 0.5, 1.5) }],
      outputs: ['y'],
      run: (kernels, [x]) => [kernels.dropout(x!, spec)],
      bound: (u, [y]) => [bounds.dropout(y!, u)],
    };
  });
}

export function dropoutGradients(): GradientCase[] {
  const spec: DropoutSpec = { rows: 5, columns: 13, probability: 0.25, key: [1, 2], stream: [3, 4] };
  return [
    {
      kernel: 'dropout',
      name: `[${spec.rows}, ${spec.columns}]`,
      inputs: [{ name: 'x', data: uniform('dropout gradient', spec.rows * spec.columns) }],
      toward: [0],
      forward: (kernels, [x]) => [kernels.dropout(x!, spec)],
      loss: 0,
      backward: (kernels, _, __, dy) => [kernels.dropout(dy, spec)],
      bound: (u, [expected]) => [bounds.dropout(expected!, u)],
    },
  ];
}

function specOf(step: number, changes: Partial<AdamWSpec>): AdamWSpec {
  const [beta1, beta2] = [0.9, 0.999];
  return {
    learningRate: 1e-3,
    beta1,
    beta2,
    epsilon: 1e-8,
    weightDecay: 0.01,
    correction1: 1 - beta1 ** step,
    correction2: 1 - beta2 ** step,
    ...changes,
  };
}

function sumOfSquaresCase(name: string, lengths: readonly number[]): Case {
  const parts = lengths.map((length, i) => uniform(`sumOfSquares ${name} ${i}`, length));
  return {
    kernel: 'sumOfSquares',
    name,
    inputs: parts.map((data, i) => ({ name: `parts[${i}]`, data })),
    outputs: ['y'],
    run: (kernels, operands) => [kernels.sumOfSquares(operands, lengths)],
    bound: (u) => [bounds.sumOfSquares(parts, u)],
  };
}

function sumOfSquaresCases(): Case[] {
  const single = [0, 1, 7, 4096, 4099, 65_543].map((length) => sumOfSquaresCase(`${length}`, [length]));
  return [
    ...single,
    sumOfSquaresCase('of nothing', []),
    sumOfSquaresCase('of empty parts', [0, 0, 5, 0]),
    sumOfSquaresCase(
      'of many small parts',
      Array.from({ length: 61 }, (_, i) => (i * 7) % 23),
    ),
    sumOfSquaresCase('of whole vectors', [4608, 8, 12_288, 4, 1024, 64, 64, 64, 64, 64, 64, 64, 20]),
    sumOfSquaresCase('of small and large parts', [3, 65_543, 1, 16_384, 4096, 17]),
    {
      ...sumOfSquaresCase('not a number', [2]),
      inputs: [{ name: 'parts[0]', data: Float32Array.of(1, NaN) }],
      nonFinite: true,
    },
  ];
}

interface AdamWCase extends Partial<AdamWSpec> {
  readonly gradientScale?: number;
  /** Elements of the moments between those of the parameters. */
  readonly gap?: number;
}

function adamwCase(name: string, lengths: readonly number[], step: number, given: AdamWCase = {}): Case {
  const { gradientScale = 1, gap = 0, ...changes } = given;
  const spec = specOf(step, changes);
  let row = gap;
  const parts = lengths.map((length, i) => {
    const at = row;
    row += Math.ceil(length / 16) * 16 + gap;
    return {
      at,
      length,
      parameter: uniform(`adamw p ${name} ${i}`, length),
      gradient: uniform(`adamw g ${name} ${i}`, length, -0.1 / gradientScale, 0.1 / gradientScale),
    };
  });
  // Moments are zero before the first step.
  const fresh = step === 1;
  const moments = new Float32Array(2 * row);
  if (!fresh) {
    moments.set(uniform(`adamw m ${name}`, row, -0.05, 0.05));
    moments.set(uniform(`adamw v ${name}`, row, 0, 0.01), row);
  }
  return {
    kernel: 'adamw',
    name,
    inputs: [
      { name: 'moments', data: moments },
      { name: 'gradientScale', data: Float32Array.of(gradientScale) },
      ...parts.map(({ parameter }, i) => ({ name: `parameter ${i}`, data: parameter })),
      ...parts.map(({ gradient }, i) => ({ name: `gradient ${i}`, data: gradient })),
    ],
    outputs: [],
    mutates: [0, ...parts.map((_, i) => 2 + i)],
    run(kernels, [both, scale, ...others]) {
      const operands = parts.map(({ at, length }, i) => {
        return { parameter: others[i]!, gradient: others[parts.length + i]!, length, at };
      });
      kernels.adamw(operands, both!, scale!, spec);
      return [];
    },
    bound(u) {
      const kept = new Float64Array(2 * row);
      const moved = parts.map(({ at, length, parameter, gradient }) => {
        const scaled = Float64Array.from(gradient, (x) => x * Math.fround(gradientScale));
        const [m, v] = [moments.subarray(at, at + length), moments.subarray(row + at, row + at + length)];
        const [ofParameter, first, second] = bounds.adamw(parameter, scaled, m, v, spec, u);
        kept.set(first, at);
        kept.set(second, row + at);
        return ofParameter;
      });
      return [kept, ...moved];
    },
  };
}

function adamwCases(): Case[] {
  return [
    ...[0, 1, 7, 257, 4099].map((length) => adamwCase(`${length}, step 10`, [length], 10)),
    adamwCase('first step', [61], 1),
    adamwCase('no decay', [61], 3, { weightDecay: 0 }),
    adamwCase('strong decay', [61], 3, { weightDecay: 0.5, learningRate: 0.1 }),
    adamwCase('large epsilon', [61], 3, { epsilon: 0.1 }),
    adamwCase('other betas', [61], 3, { beta1: 0.5, beta2: 0.9 }),
    adamwCase('late', [61], 10_000),
    adamwCase('of nothing', [], 3, { gap: 16 }),
    adamwCase('scaled gradients', [64], 3, { gradientScale: 1 / 300 }),
    adamwCase('several', [61, 0, 1, 17, 33, 16, 5, 300, 9], 3, { gradientScale: 0.3 }),
    adamwCase('several of whole vectors', [64, 4, 4608, 16, 12, 300, 8], 3, { gradientScale: 7 }),
    adamwCase('with others between them', [16_384, 20, 32, 9000], 3, { gap: 48 }),
  ];
}

/** A moment as it may be after some steps, or before the first. */
function codedMoment(name: string, length: number, map: Float32Array, fresh: boolean): CodedMoment {
  const [words, blocks] = [Math.ceil(length / 4), Math.ceil(length / 256)];
  const codes = fresh ? new Int32Array(words) : integers(`adamw8bit ${name}`, words, 2 ** 32);
  // Bits behind the last element are zeros.
  if (length % 4 !== 0) codes[words - 1]! &= 2 ** (8 * (length % 4)) - 1;
  const absmax = fresh
    ? new Float64Array(blocks)
    : Float64Array.from(uniform(`adamw8bit ${name} absmax`, blocks, 0.01, 1));
  return { codes, absmax: absmax.map(Math.fround), map };
}

/**
 * Gradients that differ in size by powers of ten, some zero, none of which brings a moment near a midpoint between two codes:
 * there, arithmetic that is a little off may rightly give the neighbour.
 */
function clearGradient(
  name: string,
  length: number,
  scale: number,
  spec: AdamWSpec,
  first: CodedMoment,
  second: CodedMoment,
): Float32Array {
  const sizes = uniform(`adamw8bit sizes ${name}`, length, 0, 4);
  const gradient = uniform(`adamw8bit g ${name}`, length, -0.3, 0.3).map((value, i) => {
    return i % 13 === 5 ? 0 : (value / scale) * 10 ** -Math.floor(sizes[i]!);
  });
  for (let round = 0; round < 100; round++) {
    const m = decodeMoment(first, length);
    const v = decodeMoment(second, length);
    adamw(new Float64Array(length), Float64Array.from(gradient), m, v, Math.fround(scale), spec);
    const close = [...nearMidpoints(m, first.map), ...nearMidpoints(v, second.map)];
    if (close.length === 0) return gradient;
    for (const i of close) gradient[i] = gradient[i]! * 0.98 + 1e-4 / scale;
  }
  throw new Error(`adamw8bit ${name}: no gradient was found that is clear of midpoints`);
}

/** Elements whose share of their block's largest is within 1e-5 of a midpoint, relative: 80 times what WGSL lets a quotient be off. */
function nearMidpoints(values: Float64Array, map: ArrayLike<number>): number[] {
  const midpoints = midpointsOf(map);
  const blocks = Array.from({ length: Math.ceil(values.length / 256) }, (_, block) =>
    values.subarray(256 * block, 256 * (block + 1)).reduce((most, value) => Math.max(most, Math.abs(value)), 0),
  );
  return [...values.keys()].filter((i) => {
    const scaled = values[i]! / (blocks[Math.floor(i / 256)]! || 1);
    const above = firstNotBelow(midpoints, scaled);
    return [midpoints[above - 1], midpoints[above]].some(
      (midpoint) => midpoint !== undefined && Math.abs(scaled - midpoint) < 1e-5 * Math.abs(midpoint),
    );
  });
}

/** Where the first of some ascending numbers is that is not below x. */
function firstNotBelow(ascending: Float32Array, x: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ascending[middle]! < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

interface AdamW8bitCase extends Partial<AdamWSpec> {
  readonly gradientScale?: number;
}

function adamw8bitCase(name: string, lengths: readonly number[], step: number, given: AdamW8bitCase = {}): Case {
  const { gradientScale = 1, ...changes } = given;
  const spec = specOf(step, changes);
  const fresh = step === 1;
  const parts = lengths.map((length, i) => {
    const of = lengths.length === 1 ? name : `${name} ${i}`;
    const first = codedMoment(`first ${of}`, length, dynamicMap(), fresh);
    const second = codedMoment(`second ${of}`, length, unsignedDynamicMap(), fresh);
    const parameter = uniform(`adamw8bit p ${of}`, length);
    return {
      length,
      first,
      second,
      parameter,
      gradient: clearGradient(of, length, gradientScale, spec, first, second),
    };
  });
  const names = ['parameter', 'gradient', 'firstCodes', 'firstAbsmax', 'secondCodes', 'secondAbsmax'] as const;
  return {
    kernel: 'adamw8bit',
    name,
    inputs: [
      { name: 'maps', data: Float32Array.from([...dynamicMap(), ...unsignedDynamicMap()]) },
      { name: 'gradientScale', data: Float32Array.of(gradientScale) },
      ...parts.flatMap(({ parameter, gradient, first, second }, i) => [
        { name: `parameter ${i}`, data: parameter },
        { name: `gradient ${i}`, data: gradient },
        { name: `firstCodes ${i}`, data: first.codes },
        { name: `firstAbsmax ${i}`, data: Float32Array.from(first.absmax) },
        { name: `secondCodes ${i}`, data: second.codes },
        { name: `secondAbsmax ${i}`, data: Float32Array.from(second.absmax) },
      ]),
    ],
    outputs: [],
    mutates: parts.flatMap((_, i) => [0, 2, 3, 4, 5].map((k) => 2 + names.length * i + k)),
    run(kernels, [maps, scale, ...others]) {
      const operands = parts.map(({ length }, i) => {
        const of = Object.fromEntries(names.map((key, k) => [key, others[names.length * i + k]!]));
        return { ...(of as Record<(typeof names)[number], Storage>), length };
      });
      kernels.adamw8bit(operands, maps!, scale!, spec);
      return [];
    },
    bound(u) {
      return parts.flatMap(({ length, first, second, parameter, gradient }) => {
        const [m, v] = [decodeMoment(first, length), decodeMoment(second, length)];
        const scaled = Float64Array.from(gradient, (x) => x * Math.fround(gradientScale));
        const [moved, firstAbsmax, secondAbsmax] = bounds.adamw8bit(parameter, scaled, m, v, spec, u);
        const exact = new Float64Array(first.codes.length);
        return [moved, exact, firstAbsmax, exact, secondAbsmax];
      });
    },
  };
}

function adamw8bitCases(): Case[] {
  return [
    ...[0, 1, 7, 256, 257, 2051].map((length) => adamw8bitCase(`${length}, step 10`, [length], 10)),
    adamw8bitCase('first step', [613], 1),
    adamw8bitCase('no decay', [61], 3, { weightDecay: 0 }),
    adamw8bitCase('strong decay', [61], 3, { weightDecay: 0.5, learningRate: 0.1 }),
    adamw8bitCase('other betas', [300], 3, { beta1: 0.5, beta2: 0.9 }),
    adamw8bitCase('late', [61], 10_000),
    adamw8bitCase('several, scaled gradients', [61, 0, 1, 600, 256, 5], 3, { gradientScale: 1 / 300 }),
  ];
}

export function trainingCases(): Case[] {
  return [...dropoutCases(), ...sumOfSquaresCases(), ...adamwCases(), ...adamw8bitCases()];
}
