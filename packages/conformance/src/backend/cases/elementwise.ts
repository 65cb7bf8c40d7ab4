/** unary, binary, where, fill, cast, accumulate. */
import type { BinaryOp, UnaryOp } from '@lowrank/core';
import * as bounds from '../bounds.ts';
import type { Case } from '../case.ts';
import { integers, uniform } from '../inputs.ts';

/** Nothing, one, primes beside a vector's and a workgroup's length, and more than 65,535 workgroups of 64. */
const lengths = [0, 1, 7, 61, 257, 4099];
const manyWorkgroups = 65_536 * 64 + 3;

const special = Float32Array.of(NaN, Infinity, -Infinity, 0, -0, 1, -1, 3.5, -2.25);
/** Largest and smallest normal, and what squares or reciprocals leave float32 with. */
const extremes = Float32Array.of(
  3.4028234663852886e38,
  -3.4028234663852886e38,
  1e30,
  -1e30,
  2 ** -126,
  -(2 ** -126),
  1e-30,
  0,
);
const subnormals = Float32Array.of(2 ** -149, -(2 ** -149), 1e-40, -1e-40, 5e-39, 0, 1);

/** The interval an operation is tried on. */
const domains: Record<UnaryOp, [low: number, high: number]> = {
  neg: [-10, 10],
  abs: [-10, 10],
  sign: [-1, 1],
  exp: [-20, 20],
  log: [1e-6, 30],
  sqrt: [0, 100],
  reciprocal: [0.01, 50],
  tanh: [-6, 6],
  sigmoid: [-30, 30],
};

function unaryCase(op: UnaryOp, name: string, x: Float32Array, flags: Partial<Case> = {}): Case {
  return {
    kernel: 'unary',
    name: `${op}, ${name}`,
    inputs: [{ name: 'x', data: x }],
    outputs: ['y'],
    run: (kernels, [operand]) => [kernels.unary(op, operand!, x.length)],
    bound: (u, [y]) => [bounds.unary(op, x, y!, u)],
    ...flags,
  };
}

function unaryCases(): Case[] {
  const ops = Object.keys(domains) as UnaryOp[];
  return [
    ...ops.flatMap((op) => [
      ...lengths.map((length) => unaryCase(op, `${length}`, uniform(`unary ${op} ${length}`, length, ...domains[op]))),
      unaryCase(op, 'not a number and infinities', special, { nonFinite: true }),
      unaryCase(
        op,
        'huge and tiny',
        signedFor(op, extremes),
        op === 'reciprocal' || op === 'log' ? { nonFinite: true } : {},
      ),
      unaryCase(op, 'subnormal', signedFor(op, subnormals), {
        subnormal: true,
        ...(op === 'reciprocal' || op === 'log' ? { nonFinite: true } : {}),
      }),
    ]),
    unaryCase('neg', `${manyWorkgroups}`, repeated(uniform('unary neg many', 4099), manyWorkgroups)),
  ];
}

/** `values` over and over; their number is prime, so that no tile sees the same twice in a row. */
function repeated(values: Float32Array, length: number): Float32Array {
  const out = new Float32Array(length);
  for (let from = 0; from < length; from += values.length) out.set(values.subarray(0, length - from), from);
  return out;
}

/** Roots and logarithms of negative numbers are NaN: for the not-finite case only. */
function signedFor(op: UnaryOp, values: Float32Array): Float32Array {
  return op === 'sqrt' || op === 'log' ? values.map(Math.abs) : values;
}

const binaryOps: readonly BinaryOp[] = ['add', 'sub', 'mul', 'div', 'max', 'min', 'equal', 'less', 'lessEqual'];

/** Row-major layouts of the two operands: the same, scalars, rows, columns, both ways, and deep. */
const layouts: readonly [a: number[], b: number[]][] = [
  [[0], [0]],
  [[1], [1]],
  [[257], [257]],
  [
    [0, 5],
    [1, 5],
  ],
  [
    [3, 0],
    [3, 1],
  ],
  [
    [61, 67],
    [1, 1],
  ],
  [
    [1, 1],
    [61, 67],
  ],
  [
    [61, 67],
    [1, 67],
  ],
  [
    [61, 67],
    [61, 1],
  ],
  [
    [61, 1],
    [1, 67],
  ],
  [
    [1, 67],
    [61, 1],
  ],
  [
    [2, 3, 5, 7],
    [1, 3, 1, 7],
  ],
  [
    [2, 1, 5, 1],
    [1, 3, 1, 7],
  ],
  [
    [5, 1, 3, 1, 2],
    [1, 2, 3, 2, 1],
  ],
];

/** More than 65,535 workgroups of 64, broadcast: for one operation, as all go the same way. */
const manyRows: readonly [a: number[], b: number[]] = [
  [65_543, 64],
  [1, 64],
];

const count = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);

function binaryCase(
  op: BinaryOp,
  name: string,
  a: Float32Array,
  aShape: readonly number[],
  b: Float32Array,
  bShape: readonly number[],
  flags: Partial<Case> = {},
): Case {
  return {
    kernel: 'binary',
    name: `${op}, ${name}`,
    inputs: [
      { name: 'a', data: a },
      { name: 'b', data: b },
    ],
    outputs: ['y'],
    run: (kernels, [p, q]) => [kernels.binary(op, p!, aShape, q!, bShape)],
    bound: (u, [y]) => [bounds.binary(op, y!, u)],
    ...flags,
  };
}

/** Few different values, so that some are equal; no zeros to divide by. */
function steps(name: string, length: number): Float32Array {
  return Float32Array.from(integers(name, length, 8), (value) => (value - 3.5) / 2);
}

function binaryCases(): Case[] {
  /** Every pair of `values`. */
  const pairs = (values: Float32Array): [Float32Array, number[], Float32Array, number[]] => {
    return [values, [values.length, 1], values, [1, values.length]];
  };
  return binaryOps.flatMap((op) => [
    ...[...layouts, ...(op === 'sub' ? [manyRows] : [])].map(([aShape, bShape]) => {
      const name = `[${aShape.join(', ')}] with [${bShape.join(', ')}]`;
      const comparison = op === 'equal' || op === 'less' || op === 'lessEqual';
      const make = comparison || op === 'div' ? steps : uniform;
      return binaryCase(
        op,
        name,
        make(`${op} a ${name}`, count(aShape)),
        aShape,
        make(`${op} b ${name}`, count(bShape)),
        bShape,
      );
    }),
    binaryCase(op, 'not a number and infinities', ...pairs(special), { nonFinite: true }),
    binaryCase(op, 'huge and tiny', ...pairs(extremes), { nonFinite: true }),
    binaryCase(op, 'subnormal', ...pairs(subnormals), { subnormal: true, nonFinite: true }),
  ]);
}

function whereCase(
  name: string,
  condition: [Float32Array, readonly number[]],
  a: [Float32Array, readonly number[]],
  b: [Float32Array, readonly number[]],
  shape: readonly number[],
  flags: Partial<Case> = {},
): Case {
  return {
    kernel: 'where',
    name,
    inputs: [
      { name: 'condition', data: condition[0] },
      { name: 'a', data: a[0] },
      { name: 'b', data: b[0] },
    ],
    outputs: ['y'],
    run: (kernels, [c, p, q]) => [kernels.where(c!, condition[1], p!, a[1], q!, b[1], shape)],
    bound: (_, [y]) => [bounds.exact(y!.length)],
    ...flags,
  };
}

function whereCases(): Case[] {
  const shapes: readonly [number[], number[], number[], number[]][] = [
    [[0], [0], [0], [0]],
    [[257], [257], [257], [257]],
    [
      [61, 67],
      [1, 1],
      [61, 67],
      [61, 67],
    ],
    [
      [1, 67],
      [61, 1],
      [1, 1],
      [61, 67],
    ],
    [
      [61, 1],
      [61, 67],
      [1, 67],
      [61, 67],
    ],
    [
      [1, 1],
      [1, 1],
      [1, 1],
      [3, 5],
    ],
    [
      [2, 1, 5, 1],
      [1, 3, 1, 7],
      [2, 3, 5, 7],
      [2, 3, 5, 7],
    ],
  ];
  return [
    ...shapes.map(([c, a, b, shape]) => {
      const name = `[${c.join(', ')}], [${a.join(', ')}], [${b.join(', ')}]`;
      const bits = Float32Array.from(integers(`where ${name}`, count(c), 2));
      return whereCase(
        name,
        [bits, c],
        [uniform(`where a ${name}`, count(a)), a],
        [uniform(`where b ${name}`, count(b)), b],
        shape,
      );
    }),
    // What is not chosen must not shine through, as it would in c a + (1 - c) b.
    whereCase(
      'hides infinities and NaN',
      [Float32Array.of(1, 0, 1, 0, NaN, -2), [6]],
      [Float32Array.of(1, NaN, Infinity, 4, 5, 6), [6]],
      [Float32Array.of(NaN, 2, 3, -Infinity, NaN, NaN), [6]],
      [6],
      { nonFinite: true },
    ),
  ];
}

function fillCase(value: number, length: number, dtype: 'f32' | 'i32', flags: Partial<Case> = {}): Case {
  return {
    kernel: 'fill',
    name: `${dtype}, ${length} times ${value}`,
    inputs: [],
    outputs: ['y'],
    run: (kernels) => [kernels.fill(value, length, dtype)],
    bound: (u, [y]) => [dtype === 'i32' ? bounds.exact(length) : bounds.rounded(y!, u)],
    ...flags,
  };
}

function fillCases(): Case[] {
  return [
    ...[0, 1, 257, 4099, manyWorkgroups].map((length) => fillCase(0, length, 'f32')),
    fillCase(0.1, 61, 'f32'),
    fillCase(-1e30, 61, 'f32'),
    fillCase(-Infinity, 61, 'f32', { nonFinite: true }),
    fillCase(NaN, 61, 'f32', { nonFinite: true }),
    ...[0, 1, 257].map((length) => fillCase(-7, length, 'i32')),
    fillCase(2 ** 31 - 1, 61, 'i32'),
    fillCase(-(2 ** 31), 61, 'i32'),
  ];
}

function castCase(name: string, x: Float32Array | Int32Array, to: 'f32' | 'i32', flags: Partial<Case> = {}): Case {
  return {
    kernel: 'cast',
    name,
    inputs: [{ name: 'x', data: x }],
    outputs: ['y'],
    run: (kernels, [operand]) => [kernels.cast(operand!, x.length, to)],
    bound: (u, [y]) => [to === 'i32' ? bounds.exact(x.length) : bounds.rounded(y!, u)],
    ...flags,
  };
}

function castCases(): Case[] {
  const hard = Int32Array.of(2 ** 31 - 1, -(2 ** 31), 2 ** 24 + 1, -(2 ** 24) - 1, 2 ** 25 + 3, 0, -1);
  return [
    ...lengths.map((length) => castCase(`i32 to f32, ${length}`, integers(`cast ${length}`, length, 100_000), 'f32')),
    ...lengths.map((length) =>
      castCase(`f32 to i32, ${length}`, uniform(`cast ${length}`, length, -1000, 1000), 'i32'),
    ),
    castCase('i32 to f32, beyond 2^24', hard, 'f32'),
    castCase('f32 to i32, toward zero', Float32Array.of(0.5, -0.5, 1.5, -1.5, 2.999, -2.999, -0, 16777215), 'i32'),
    castCase('f32 to i32, saturating', Float32Array.of(2 ** 31, -(2 ** 31), 3e38, -3e38, 2 ** 31 - 128), 'i32'),
    castCase('f32 to i32, not finite', Float32Array.of(NaN, Infinity, -Infinity), 'i32', { nonFinite: true }),
  ];
}

function accumulateCases(): Case[] {
  const make = (name: string, target: Float32Array, source: Float32Array, flags: Partial<Case> = {}): Case => ({
    kernel: 'accumulate',
    name,
    inputs: [
      { name: 'target', data: target },
      { name: 'source', data: source },
    ],
    outputs: [],
    mutates: [0],
    run(kernels, [to, from]) {
      kernels.accumulate(to!, from!, target.length);
      return [];
    },
    bound: (u, [sum]) => [bounds.rounded(sum!, u)],
    ...flags,
  });
  return [
    ...lengths.map((length) =>
      make(`${length}`, uniform(`target ${length}`, length), uniform(`source ${length}`, length)),
    ),
    make(
      `${manyWorkgroups}`,
      repeated(uniform('target many', 4099), manyWorkgroups),
      repeated(uniform('source many', 4099), manyWorkgroups),
    ),
    make('not a number and infinities', special, special.toReversed(), { nonFinite: true }),
  ];
}

export function elementwiseCases(): Case[] {
  return [...unaryCases(), ...binaryCases(), ...whereCases(), ...fillCases(), ...castCases(), ...accumulateCases()];
}
