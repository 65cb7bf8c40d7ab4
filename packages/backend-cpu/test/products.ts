/** Matrix products that tests hold against a definition of their own. */
import type { MatmulSpec } from '@lowrank/core';
import { numbers } from './engines.ts';

export interface Product {
  readonly name: string;
  readonly spec: MatmulSpec;
  readonly operands: () => readonly [a: Float32Array, b: Float32Array];
}

type Sizes = Pick<MatmulSpec, 'm' | 'n' | 'k'>;

/** Each shape with its operands as they are, and transposed. */
export function transposedEachWay(shapes: readonly Sizes[]): Product[] {
  return shapes.flatMap(({ m, n, k }, index) =>
    [false, true].flatMap((transposeA) =>
      [false, true].map((transposeB) => ({
        name: `${m} x ${n} x ${k}${transposeA ? ', a transposed' : ''}${transposeB ? ', b transposed' : ''}`,
        spec: { batch: 1, m, n, k, transposeA, transposeB, batchA: true, batchB: true },
        operands: () => [numbers(m * k, 2 * index + 1), numbers(k * n, 2 * index + 2)] as const,
      })),
    ),
  );
}

/** A batch of 5, of which one operand may be the same throughout. */
export function batches({ m, n, k }: Sizes): Product[] {
  const batch = 5;
  return [
    [true, true],
    [true, false],
    [false, true],
  ].map(([batchA = true, batchB = true]) => ({
    name: `a batch of ${batch}${batchA ? '' : ' with one a'}${batchB ? '' : ' with one b'}`,
    spec: { batch, m, n, k, transposeA: false, transposeB: false, batchA, batchB },
    operands: () => [numbers((batchA ? batch : 1) * m * k, 3), numbers((batchB ? batch : 1) * k * n, 4)] as const,
  }));
}

/** Of each element of the product: its place, and the k numbers of a and of b that it is the sum of products of. */
export function eachElement(
  a: Float32Array,
  b: Float32Array,
  { batch, m, n, k, transposeA, transposeB, batchA, batchB }: MatmulSpec,
  visit: (at: number, row: Float32Array, column: Float32Array) => void,
): void {
  const [row, column] = [new Float32Array(k), new Float32Array(k)];
  for (let item = 0; item < batch; item++) {
    const startA = batchA ? item * m * k : 0;
    const startB = batchB ? item * k * n : 0;
    for (let i = 0; i < m; i++) {
      for (let l = 0; l < k; l++) row[l] = a[startA + (transposeA ? l * m + i : i * k + l)]!;
      for (let j = 0; j < n; j++) {
        for (let l = 0; l < k; l++) column[l] = b[startB + (transposeB ? j * k + l : l * n + j)]!;
        visit((item * m + i) * n + j, row, column);
      }
    }
  }
}
