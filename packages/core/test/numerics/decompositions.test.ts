import { RandomStream, truncatedQr, truncatedSvd } from '@lowrank/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { largestEigen } from '../../src/numerics/symmetric-eigen.ts';

interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}
const at = ({ columns, values }: Matrix, i: number, j: number): number => values[i * columns + j]!;
const normOf = (values: ArrayLike<number>): number => Math.sqrt(Array.from(values).reduce((sum, v) => sum + v * v, 0));
const dot = (a: Float64Array, b: Float64Array, length: number, i: number, j: number): number => {
  let sum = 0;
  for (let k = 0; k < length; k++) sum += a[i * length + k]! * b[j * length + k]!;
  return sum;
};

/** How far rows are from orthonormal: the largest |x_i x_j - delta_ij|. */
function offOrthonormal(rows: Float64Array, count: number, length: number): number {
  let worst = 0;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) {
      worst = Math.max(worst, Math.abs(dot(rows, rows, length, i, j) - (i === j ? 1 : 0)));
    }
  }
  return worst;
}

/** Small matrices of all kinds: random, whole numbers (equal singular values), of low rank, of zeros. */
const matrices = fc
  .record({
    rows: fc.integer({ min: 1, max: 12 }),
    columns: fc.integer({ min: 1, max: 12 }),
    seed: fc.nat(1e6),
    kind: fc.constantFrom('normal', 'whole', 'low rank', 'zero', 'diagonal'),
    size: fc.constantFrom(1, 1e-30, 1e30),
  })
  .map(({ rows, columns, seed, kind, size }): Matrix => {
    const random = new RandomStream(seed, 'matrix');
    const normal = Float64Array.from(random.normal(rows * columns));
    const [left, right] = [random.normal(rows), random.normal(columns)];
    const values = normal.map((value, i) => {
      const [row, column] = [Math.floor(i / columns), i % columns];
      if (kind === 'whole') return size * Math.round(value);
      if (kind === 'low rank') return size * left[row]! * right[column]!;
      if (kind === 'diagonal') return row === column ? size * Math.ceil(value) : 0;
      return kind === 'zero' ? 0 : size * value;
    });
    return { rows, columns, values };
  });

describe('truncatedSvd', () => {
  it('gives the values and vectors of matrices that are known', () => {
    // M^T M = [[25, 20], [20, 25]]: 45 and 5, with (1, 1) and (1, -1).
    const { values, left, right } = truncatedSvd([3, 0, 4, 5], 2, 2, 2);
    const close = (got: ArrayLike<number>, expected: number[]): void =>
      expected.forEach((value, i) => expect(got[i]).toBeCloseTo(value, 13));
    close(values, [Math.sqrt(45), Math.sqrt(5)]);
    close(
      right,
      [0.5, 0.5, 0.5, -0.5].map((value) => value * Math.SQRT2),
    );
    close(
      left,
      [1, 3, 3, -1].map((value) => value / Math.sqrt(10)),
    );
    // The 8 x 8 Hilbert matrix: its singular values fall by ten orders of magnitude; the first four from published tables.
    const hilbert = Float64Array.from({ length: 64 }, (_, i) => 1 / (Math.floor(i / 8) + (i % 8) + 1));
    const known = [1.6959389969, 0.2981252113, 0.0262128436, 0.0014676881];
    Array.from(truncatedSvd(hilbert, 8, 8, 4).values).forEach((value, i) => expect(value).toBeCloseTo(known[i]!, 9));
  });

  it('reconstructs any matrix at full rank, with orthonormal vectors and values in order', () => {
    fc.assert(
      fc.property(matrices, (m) => {
        const { rows, columns } = m;
        const rank = Math.min(rows, columns);
        const { values, left, right } = truncatedSvd(m.values, rows, columns, rank);
        const size = normOf(m.values);
        expect(offOrthonormal(left, rank, rows)).toBeLessThan(1e-12);
        expect(offOrthonormal(right, rank, columns)).toBeLessThan(1e-12);
        // Directions of less than 1e-7 of the largest may be lost.
        const rest = m.values.map((value, i) => {
          const [row, column] = [Math.floor(i / columns), i % columns];
          let sum = 0;
          for (let k = 0; k < rank; k++) sum += values[k]! * left[k * rows + row]! * right[k * columns + column]!;
          return value - sum;
        });
        expect(normOf(rest)).toBeLessThanOrEqual(1e-7 * size);
        for (let k = 0; k < rank; k++) {
          expect(values[k]).toBeGreaterThanOrEqual(0);
          expect(values[k]).toBeLessThanOrEqual(values[Math.max(k - 1, 0)]!);
          const row = Array.from(right.subarray(k * columns, (k + 1) * columns));
          const largest = Math.max(...row.map(Math.abs));
          expect(row.find((value) => Math.abs(value) === largest)).toBeGreaterThan(0);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('of a lower rank has the same first directions, and loses what Eckart and Young say', () => {
    for (const [rows, columns] of [
      [60, 23],
      [23, 60],
    ] as const) {
      const values = new RandomStream(5, 'w').normal(rows * columns);
      const whole = truncatedSvd(values, rows, columns, 23);
      const some = truncatedSvd(values, rows, columns, 5);
      for (let k = 0; k < 5; k++) {
        expect(some.values[k]).toBeCloseTo(whole.values[k]!, 12);
        expect(dot(some.right, whole.right, columns, k, k)).toBeCloseTo(1, 12);
        expect(dot(some.left, whole.left, rows, k, k)).toBeCloseTo(1, 12);
      }
      const rest = Array.from(values, (value, i) => {
        const [row, column] = [Math.floor(i / columns), i % columns];
        let sum = 0;
        for (let k = 0; k < 5; k++) {
          sum += some.values[k]! * some.left[k * rows + row]! * some.right[k * columns + column]!;
        }
        return value - sum;
      });
      expect(normOf(rest)).toBeCloseTo(normOf(whole.values.subarray(5)), 11);
    }
  });

  it('has vectors that the matrix takes to each other: M v = s u and u M = s v', () => {
    const [rows, columns, rank] = [90, 64, 8];
    const m: Matrix = { rows, columns, values: Float64Array.from(new RandomStream(1, 'w').normal(rows * columns)) };
    const { values, left, right } = truncatedSvd(m.values, rows, columns, rank);
    for (let k = 0; k < rank; k++) {
      for (let i = 0; i < rows; i++) {
        let sum = 0;
        for (let j = 0; j < columns; j++) sum += at(m, i, j) * right[k * columns + j]!;
        expect(Math.abs(sum - values[k]! * left[k * rows + i]!)).toBeLessThan(1e-12);
      }
      for (let j = 0; j < columns; j++) {
        let sum = 0;
        for (let i = 0; i < rows; i++) sum += at(m, i, j) * left[k * rows + i]!;
        expect(Math.abs(sum - values[k]! * right[k * columns + j]!)).toBeLessThan(1e-11);
      }
    }
  });

  it.each([
    [[1, 2, 3, 4], 2, 2, 3, 'CORE_ARGUMENT'],
    [[1, 2, 3, 4], 2, 2, 0, 'CORE_ARGUMENT'],
    [[1, Number.NaN], 1, 2, 1, 'CORE_NOT_FINITE'],
    [[1, Infinity], 1, 2, 1, 'CORE_NOT_FINITE'],
  ])('refuses %j as [%i, %i] of rank %i', (values, rows, columns, rank, code) => {
    expect(() => truncatedSvd(values, rows, columns, rank)).toThrow(expect.objectContaining({ code }));
  });
});

describe('largestEigen', () => {
  it('finds those of matrices that are known', () => {
    // The second difference matrix has eigenvalues 2 - 2 cos(k pi / (n + 1)).
    const n = 40;
    const second = Float64Array.from({ length: n * n }, (_, i) => {
      const off = Math.abs(Math.floor(i / n) - (i % n));
      return off === 0 ? 2 : off === 1 ? -1 : 0;
    });
    const { values } = largestEigen(second, n, n);
    values.forEach((value, k) => expect(value).toBeCloseTo(2 - 2 * Math.cos(((n - k) * Math.PI) / (n + 1)), 12));
    expect(Array.from(largestEigen(Float64Array.of(0, 0, 0, 0), 2, 2).values)).toEqual([0, 0]);
    expect(Array.from(largestEigen(Float64Array.of(-7), 1, 1).values)).toEqual([-7]);
  });
});

describe('truncatedQr', () => {
  it('gives LAPACK\u2019s Q and R of a matrix that is known', () => {
    // numpy.linalg.qr([[12, -51, 4], [6, 167, -68], [-4, 24, -41], [0, 0, 0]]), to the digits that are rational.
    const { q, r } = truncatedQr([12, -51, 4, 6, 167, -68, -4, 24, -41, 0, 0, 0], 4, 3, 2);
    const close = (got: Float64Array, expected: number[]): void =>
      expected.forEach((value, i) => expect(got[i]).toBeCloseTo(value, 12));
    close(r, [-14, -21, 14, 0, -175, 70]);
    close(q, [-6 / 7, 69 / 175, -3 / 7, -158 / 175, 2 / 7, -6 / 35, 0, 0]);
  });

  it('has orthonormal columns, a triangle, and the matrix back at full rank', () => {
    fc.assert(
      fc.property(matrices, ({ rows, columns, values }) => {
        const rank = Math.min(rows, columns);
        const { q, r } = truncatedQr(values, rows, columns, rank);
        const turned = Float64Array.from(
          { length: rank * rows },
          (_, i) => q[(i % rows) * rank + Math.floor(i / rows)]!,
        );
        expect(offOrthonormal(turned, rank, rows)).toBeLessThan(1e-13);
        const size = normOf(values);
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < columns; j++) {
            let sum = 0;
            for (let k = 0; k < rank; k++) sum += q[i * rank + k]! * r[k * columns + j]!;
            expect(Math.abs(sum - values[i * columns + j]!)).toBeLessThanOrEqual(1e-13 * size);
          }
        }
        for (let i = 0; i < rank; i++) for (let j = 0; j < i; j++) expect(r[i * columns + j]).toBe(0);
      }),
      { numRuns: 100 },
    );
  });

  it('refuses a rank that the matrix cannot have', () => {
    expect(() => truncatedQr([1, 2], 1, 2, 2)).toThrow(expect.objectContaining({ code: 'CORE_ARGUMENT', value: 2 }));
  });
});
