import type { MatmulSpec } from '@lowrank/core';
import type { CpuBackend } from '@lowrank/backend-cpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectSameNumbers, numbers, startEngines } from './engines.ts';
import { exactFma } from './exact-fma.ts';
import { batches, eachElement, transposedEachWay } from './products.ts';

let backends: CpuBackend[] = [];
beforeAll(async () => {
  backends = [...(await startEngines(1)), ...(await startEngines(3))];
});
afterAll(() => Promise.all(backends.map((backend) => backend.dispose())));

/** The definition: one chain of fused multiply-adds over ascending k, from 0 or from what is in the target. */
function chains(a: Float32Array, b: Float32Array, spec: MatmulSpec, target?: Float32Array): Float32Array {
  const c = new Float32Array(spec.batch * spec.m * spec.n);
  eachElement(a, b, spec, (at, row, column) => {
    let sum = target?.[at] ?? 0;
    for (let l = 0; l < spec.k; l++) sum = exactFma(row[l]!, column[l]!, sum);
    c[at] = sum;
  });
  return c;
}

const shapes = [
  { m: 1, n: 1, k: 1 },
  { m: 1, n: 37, k: 300 },
  { m: 1, n: 107, k: 203 },
  { m: 4, n: 80, k: 98 },
  { m: 1, n: 2096, k: 12 },
  { m: 2, n: 1601, k: 7 },
  { m: 5, n: 8, k: 17 },
  { m: 13, n: 31, k: 0 },
  { m: 7, n: 65, k: 257 },
  { m: 64, n: 32, k: 16 },
  { m: 131, n: 8, k: 521 },
  { m: 211, n: 41, k: 29 },
  { m: 1031, n: 33, k: 8 },
  { m: 77, n: 1033, k: 9 },
  { m: 5, n: 1040, k: 37 },
  { m: 800, n: 7, k: 33 },
  { m: 45, n: 35, k: 64 },
];

describe('each element of a product is one chain of fused multiply-adds over ascending k, bit for bit', () => {
  for (const { name, spec, operands } of [...transposedEachWay(shapes), ...batches({ m: 140, n: 11, k: 19 })]) {
    it(name, () => expectChains(...operands(), spec));
  }

  async function expectChains(a: Float32Array, b: Float32Array, spec: MatmulSpec): Promise<void> {
    const expected = chains(a, b, spec);
    const target = numbers(expected.length, 99);
    const accumulated = chains(a, b, spec, target);
    const fused = backends.filter((backend) => backend.supports.fusedMultiplyAdd);
    expect(fused.length).toBeGreaterThan(0);
    for (const backend of fused) {
      const operands = [backend.upload(a, 'f32'), backend.upload(b, 'f32')] as const;
      const product = backend.kernels.matmul(...operands, spec);
      const sum = backend.upload(target, 'f32');
      backend.kernels.matmulAccumulate!(sum, ...operands, spec);
      const where = `${backend.engine}, ${backend.threads} threads`;
      expectSameNumbers(await backend.read(product), expected, where);
      expectSameNumbers(await backend.read(sum), accumulated, `${where}, added to a target`);
      for (const storage of [...operands, product, sum]) backend.free(storage);
    }
  }
});

it('a row has the same bits alone as among others', async () => {
  const [m, n, k] = [150, 70, 300];
  const a = numbers(m * k, 5);
  const b = numbers(n * k, 6);
  const spec = { batch: 1, n, k, transposeA: false, transposeB: true, batchA: true, batchB: true };
  for (const backend of backends) {
    const weight = backend.upload(b, 'f32');
    const all = (await backend.read(
      backend.kernels.matmul(backend.upload(a, 'f32'), weight, { ...spec, m }),
    )) as Float32Array;
    for (const row of [0, 77, 149]) {
      const x = backend.upload(a.slice(row * k, (row + 1) * k), 'f32');
      const alone = await backend.read(backend.kernels.matmul(x, weight, { ...spec, m: 1 }));
      expectSameNumbers(alone, all.slice(row * n, (row + 1) * n), backend.engine);
    }
  }
});

it('carries NaN and infinities', async () => {
  const a = Float32Array.from([1, Number.NaN, 1, Number.POSITIVE_INFINITY, 0, 1]);
  const b = Float32Array.from([0, 1, 1, Number.NEGATIVE_INFINITY]);
  const spec = { batch: 1, m: 3, n: 2, k: 2, transposeA: false, transposeB: false, batchA: true, batchB: true };
  for (const backend of backends) {
    const product = backend.kernels.matmul(backend.upload(a, 'f32'), backend.upload(b, 'f32'), spec);
    const [x, y] = [Number.NaN, Number.NEGATIVE_INFINITY];
    expect(await backend.read(product), backend.engine).toEqual(Float32Array.from([x, x, Infinity, y, 1, y]));
  }
});
