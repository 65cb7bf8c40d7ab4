import type { MatmulSpec } from '@lowrank/core';
import * as bounds from '../bounds.ts';
import type { Case } from '../case.ts';
import { ofFewBits, uniform } from '../inputs.ts';

/** A case of `matmul`, and what it multiplies. */
type Product = readonly [MatmulSpec, Case];

type Flags = Partial<Pick<MatmulSpec, 'transposeA' | 'transposeB' | 'batchA' | 'batchB'>>;

function spec(batch: number, m: number, n: number, k: number, flags: Flags = {}): MatmulSpec {
  return { batch, m, n, k, transposeA: false, transposeB: false, batchA: true, batchB: true, ...flags };
}

function nameOf(s: MatmulSpec): string {
  const operand = (name: string, transposed: boolean, batched: boolean): string =>
    `${name}${transposed ? ' transposed' : ''}${s.batch !== 1 && !batched ? ' shared' : ''}`;
  const a = operand('a', s.transposeA, s.batchA);
  return `${s.batch} of ${s.m}x${s.k}x${s.n}, ${a}, ${operand('b', s.transposeB, s.batchB)}`;
}

function matmulCase(name: string, a: Float32Array, b: Float32Array, s: MatmulSpec, extra: Partial<Case> = {}): Product {
  const row: Case = {
    kernel: 'matmul',
    name,
    inputs: [
      { name: 'a', data: a },
      { name: 'b', data: b },
    ],
    outputs: ['c'],
    run: (kernels, [p, q]) => [kernels.matmul(p!, q!, s)],
    bound: (u, _, operands) => [bounds.product(a, b, s, u, operands)],
    ...extra,
  };
  return [s, row];
}

/** The same product, added to a target. */
function accumulating({ name, inputs, nonFinite }: Case, s: MatmulSpec): Case {
  const [a, b] = inputs.map(({ data }) => data as Float32Array) as [Float32Array, Float32Array];
  const target = uniform(`${name} target`, s.batch * s.m * s.n);
  return {
    kernel: 'matmulAccumulate',
    name,
    inputs: [...inputs, { name: 'target', data: target }],
    outputs: [],
    run(kernels, [p, q, to]) {
      kernels.matmulAccumulate(to!, p!, q!, s);
      return [];
    },
    mutates: [2],
    bound: (u, _, operands) => [bounds.accumulated(target, a, b, s, u, operands)],
    ...(nonFinite === undefined ? {} : { nonFinite }),
  };
}

function seeded(s: MatmulSpec, numbers: typeof uniform = uniform): Product {
  const name = nameOf(s);
  const a = numbers(`${name} a`, (s.batchA ? s.batch : 1) * s.m * s.k);
  return matmulCase(name, a, numbers(`${name} b`, (s.batchB ? s.batch : 1) * s.k * s.n), s);
}

/** Of eight bits: any format that products may round their operands to has them exactly, so that only sums could be rounded. */
const eightBits = (name: string, length: number): Float32Array => ofFewBits(name, length, 8);

const transposes: Flags[] = [{}, { transposeB: true }, { transposeA: true }, { transposeA: true, transposeB: true }];

export function matmulCases(): Case[] {
  return products().flatMap(([s, row]) => [row, accumulating(row, s)]);
}

/** Products with their operands; `matmul` and `matmulAccumulate` are judged by the same. */
function products(): readonly Product[] {
  // [m, n, k]: ones, primes, tiles less one and more one, thin both ways, deep.
  const sizes: readonly [number, number, number][] = [
    [1, 1, 1],
    [1, 67, 31],
    [67, 1, 31],
    [13, 17, 1],
    [5, 3, 7],
    [16, 16, 16],
    [31, 33, 32],
    [67, 33, 129],
    [129, 65, 67],
    [2, 131, 257],
    [4, 6, 1031],
    [0, 5, 3],
    [5, 0, 3],
    [5, 3, 0],
  ];
  return [
    ...sizes.flatMap(([m, n, k]) => transposes.map((flags) => seeded(spec(1, m, n, k, flags)))),
    ...transposes.flatMap((flags) =>
      [{}, { batchA: false }, { batchB: false }].map((sharing) =>
        seeded(spec(3, 17, 13, 19, { ...flags, ...sharing }), eightBits),
      ),
    ),
    seeded(spec(0, 3, 5, 7)),
    seeded(spec(5, 3, 0, 7)),
    seeded(spec(2, 3, 4, 0)),
    seeded(spec(2, 3, 5, 7, { batchA: false, batchB: false })),
    // More batches, and more rows, than 65,535.
    seeded(spec(65_543, 1, 2, 2)),
    seeded(spec(1, 65_543, 2, 3)),
    seeded(spec(1, 2, 65_543, 3, { transposeB: true })),
    cancelling(),
    ...notFinite(),
  ];
}

/** Rows whose large terms cancel: a bound from the result alone would be of no use. */
function cancelling(): Product {
  const [m, n, k] = [7, 11, 64];
  const a = uniform('cancelling a', m * k).map((value, i) => (i % 2 === 0 ? 1000 + value : -1000 + value));
  return matmulCase('cancelling terms', a, new Float32Array(k * n).fill(1), spec(1, m, n, k));
}

/** One NaN or infinity in a or b reaches its row or column and no other; a zero does not hide it. */
function notFinite(): Product[] {
  const [m, n, k] = [9, 11, 35];
  const s = spec(1, m, n, k);
  const b = uniform('not finite b', k * n);
  const poisoned = [NaN, Infinity, -Infinity].map((value) => {
    const a = uniform('not finite a', m * k);
    a[3 * k + 17] = value;
    return matmulCase(`${value} in a`, a, b, s, { nonFinite: true });
  });
  const zeros = new Float32Array(m * k);
  const holed = b.slice();
  holed[5 * n + 2] = NaN;
  holed[7 * n + 4] = Infinity;
  return [...poisoned, matmulCase('zero times NaN and infinity', zeros, holed, s, { nonFinite: true })];
}
