/** Storage larger than one binding may be is bound in parts, and the numbers do not change. */
import { webgpu, type WebgpuBackend } from '@lowrank/backend-webgpu';
import { decodeArray, encodeArray } from '@lowrank/core';
import { describe, expect, it } from 'vitest';

const mebibyte = 2 ** 20;

function values(length: number, seed: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => (((i + seed) * 7919) % 2003) / 1001 - 1);
}

/** The same call on a device whose bindings are large, and on one where they hold `bindingLimit` bytes. */
async function onBoth(bindingLimit: number, call: (backend: WebgpuBackend) => Promise<unknown>): Promise<void> {
  await using whole = await webgpu();
  await using parted = await webgpu({ bindingLimit });
  expect(await call(parted)).toEqual(await call(whole));
}

/** Of a row and a vector in float64: the sum of products, and of their magnitudes. */
function dotOf(matrix: Float32Array, row: number, x: Float32Array, columns: number): [dot: number, size: number] {
  let [dot, size] = [0, 0];
  for (let i = 0; i < columns; i++) {
    const product = matrix[row * columns + i]! * x[i]!;
    dot += product;
    size += Math.abs(product);
  }
  return [dot, size];
}

const flags = { batch: 1, transposeA: false, transposeB: false, batchA: false, batchB: false };

describe('a storage in parts', () => {
  it.each([
    ['unary', async (b: WebgpuBackend) => b.read(b.kernels.unary('neg', b.upload(values(3001, 1), 'f32'), 3001))],
    [
      'binary, broadcast',
      async (b: WebgpuBackend) => {
        const [x, row] = [b.upload(values(3000, 1), 'f32'), b.upload(values(30, 2), 'f32')];
        return b.read(b.kernels.binary('mul', x, [100, 30], row, [1, 30]));
      },
    ],
    [
      'reduce',
      async (b: WebgpuBackend) => b.read(b.kernels.reduce('sum', b.upload(values(3003, 3), 'f32'), 7, 429, 1)),
    ],
    [
      'permute',
      async (b: WebgpuBackend) => b.read(b.kernels.permute(b.upload(values(3003, 4), 'f32'), [7, 429], [1, 0])),
    ],
    [
      'gather and scatterAdd',
      async (b: WebgpuBackend) => {
        const indices = b.upload(Int32Array.of(0, 299, 150, 99, 102, 299), 'i32');
        const rows = b.kernels.gather(b.upload(values(3000, 5), 'f32'), 300, 10, indices, 6);
        return [await b.read(rows), await b.read(b.kernels.scatterAdd(rows, indices, 6, 300, 10))];
      },
    ],
    [
      'matmul',
      async (b: WebgpuBackend) => {
        const [x, w] = [b.upload(values(20 * 60, 6), 'f32'), b.upload(values(50 * 60, 7), 'f32')];
        return b.read(b.kernels.matmul(x, w, { ...flags, m: 20, n: 50, k: 60, transposeB: true }));
      },
    ],
  ])('%s', async (_, call) => {
    await onBoth(4096, call);
  });

  it('a table of 49,152 x 576, in f32 and in blocks of q8_0: rows and products', async () => {
    const [rows, columns] = [49_152, 576];
    const table = values(rows * columns, 8);
    const blocks = encodeArray(table, [rows, columns], 'q8_0');
    const indices = Int32Array.of(10_922, 0, 49_151, 10_923, 24_576);
    // Five parts, and two.
    await using backend = await webgpu({ bindingLimit: 24 * mebibyte });
    const { kernels } = backend;
    const ids = backend.upload(indices, 'i32');
    const plain = backend.upload(table, 'f32');
    const quantized = backend.uploadBlocks(blocks.data as Uint8Array, 'q8_0', [rows, columns]);
    const x = kernels.gather(plain, rows, columns, ids, indices.length);
    const decoded = kernels.gatherQuantized!(quantized, 'q8_0', rows, columns, ids, indices.length);
    const plainProduct = kernels.matmul(x, plain, { ...flags, m: 1, n: rows, k: columns, transposeB: true });
    const spec = { format: 'q8_0', m: 1, rows, columns, transposed: false } as const;
    const quantizedProduct = kernels.matmulQuantized!(x, quantized, spec);

    const rowsOf = (matrix: Float32Array): number[] =>
      [...indices].flatMap((row) => [...matrix.subarray(row * columns, (row + 1) * columns)]);
    const weight = decodeArray(blocks);
    expect([...(await backend.read(x))]).toEqual(rowsOf(table));
    expect([...(await backend.read(decoded))]).toEqual(rowsOf(weight));
    for (const [product, matrix] of [
      [plainProduct, table],
      [quantizedProduct, weight],
    ] as const) {
      const got = await backend.read(product);
      let worst = 0;
      for (let row = 0; row < rows; row++) {
        const [dot, size] = dotOf(matrix, row, table.subarray(indices[0]! * columns), columns);
        worst = Math.max(worst, Math.abs(got[row]! - dot) / size);
      }
      // gamma(577) of the sum of magnitudes, in units of 2^-24 (conformance, bounds.ts).
      expect(worst).toBeLessThan(578 * 2 ** -24);
    }
  });

  it('is refused, saying so, where it takes more bindings than the device has', async () => {
    await using backend = await webgpu({ bindingLimit: 4096 });
    const x = backend.upload(values(40_000, 9), 'f32');
    expect(() => backend.kernels.unary('neg', x, 40_000)).toThrow(
      expect.objectContaining({ code: 'BACKEND_OUT_OF_MEMORY', kernel: 'unary' }),
    );
  });
});

describe('a device with no more than WebGPU guarantees', () => {
  it('runs products, rows and reductions', async () => {
    await using least = await webgpu({ limits: 'default' });
    expect(least.gpuDevice.limits).toMatchObject({
      maxStorageBuffersPerShaderStage: 8,
      maxComputeInvocationsPerWorkgroup: 256,
      maxComputeWorkgroupStorageSize: 16_384,
    });
    const { kernels } = least;
    const x = least.upload(values(70 * 80, 1), 'f32');
    const product = kernels.matmul(x, x, { ...flags, m: 70, n: 70, k: 80, transposeB: true });
    const probabilities = kernels.softmax!(product, 70, 70);
    const sums = await least.read(kernels.reduce('sum', probabilities, 70, 70, 1));
    for (const sum of sums) expect(sum).toBeCloseTo(1, 5);
  });
});
