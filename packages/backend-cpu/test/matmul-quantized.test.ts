import {
  blockFormats,
  decodeArray,
  fourBitBlockSizes,
  quantize4bit,
  type FourBitOptions,
  type InlineBlockFormat,
} from '@lowrank/core';
import type { CpuBackend } from '@lowrank/backend-cpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectSameNumbers, finiteBytes, numbers, startEngines } from './engines.ts';

let backends: CpuBackend[] = [];
beforeAll(async () => {
  backends = await startEngines(2);
});
afterAll(() => Promise.all(backends.map((backend) => backend.dispose())));

/** Random blocks [rows, columns], and what core decodes them to. */
function weight(format: InlineBlockFormat, rows: number, columns: number) {
  const { blockSize, bytesPerBlock } = blockFormats[format];
  const bytes = finiteBytes((rows * columns * bytesPerBlock) / blockSize, columns);
  return { bytes, values: decodeArray({ format, shape: [rows, columns], data: bytes }) };
}

const dense = { batch: 1, transposeA: false, batchA: true, batchB: true };

describe.each(Object.keys(blockFormats) as InlineBlockFormat[])('%s', (format) => {
  const unit = Math.max(blockFormats[format].blockSize, 1);
  const columns = unit === 1 ? 301 : unit === 32 ? 288 : 512;

  it.each([1, 4, 7, 130])(
    'a product of %d rows has the bits of a matmul with the decoded matrix, both ways',
    async (m) => {
      const rows = 75;
      const { bytes, values } = weight(format, rows, columns);
      for (const backend of backends) {
        const { kernels } = backend;
        const blocks = backend.uploadBlocks(bytes, format, [rows, columns]);
        const decoded = backend.upload(values, 'f32');
        for (const transposed of [false, true]) {
          const [n, k] = transposed ? [columns, rows] : [rows, columns];
          const x = backend.upload(numbers(m * k, m), 'f32');
          const y = await backend.read(kernels.matmulQuantized!(x, blocks, { format, m, rows, columns, transposed }));
          const expected = await backend.read(
            kernels.matmul(x, decoded, { ...dense, m, n, k, transposeB: !transposed }),
          );
          expect(expected.some((value) => Number.isFinite(value) && value !== 0)).toBe(true);
          expectSameNumbers(y, expected, `${backend.engine}${transposed ? ', transposed' : ''}`);
        }
      }
    },
  );

  it('a row times many rows has the same bits', async () => {
    const [rows, width] = [1633, unit === 1 ? 45 : unit];
    const { bytes, values } = weight(format, rows, width);
    const spec = { ...dense, m: 5, n: rows, k: width, transposeB: true };
    for (const backend of backends) {
      const blocks = backend.uploadBlocks(bytes, format, [rows, width]);
      const x = numbers(5 * width, 5);
      const one = backend.upload(x.subarray(0, width), 'f32');
      const size = { format, m: 1, rows, columns: width, transposed: false };
      const y = await backend.read(backend.kernels.matmulQuantized!(one, blocks, size));
      const five = backend.kernels.matmul(backend.upload(x, 'f32'), backend.upload(values, 'f32'), spec);
      expectSameNumbers(y, (await backend.read(five)).subarray(0, rows), backend.engine);
    }
  });

  it('gathers the rows that core decodes', async () => {
    const { bytes, values } = weight(format, 9, columns);
    const indices = Int32Array.from([8, 0, 3, 3]);
    const expected = new Float32Array(indices.length * columns);
    for (const [i, row] of indices.entries()) {
      expected.set(values.subarray(row * columns, (row + 1) * columns), i * columns);
    }
    for (const backend of backends) {
      const table = backend.uploadBlocks(bytes, format, [9, columns]);
      const rows = backend.kernels.gatherQuantized!(table, format, 9, columns, backend.upload(indices, 'i32'), 4);
      expectSameNumbers(await backend.read(rows), expected, backend.engine);
      expect(await backend.read(table)).toEqual(bytes);
    }
  });
});

describe.each(['nf4', 'fp4'] as const)('%s', (format) => {
  /** Every code, every code of a scale, and blocks that end anywhere in a row. */
  function payload(rows: number, columns: number, options: FourBitOptions) {
    const shape = [rows, columns] as const;
    const { data } = quantize4bit(numbers(rows * columns, columns), shape, { ...options, format });
    const codes = numbers(Math.ceil((rows * columns) / 2), rows);
    data.set(
      Uint8Array.from(codes, (x) => Math.abs(x * 2 ** 24) & 0xff),
      16,
    );
    if (options.doubleQuantization === true) {
      const scalesAt = 16 + Math.ceil(codes.length / 4) * 4;
      const scales = Math.ceil((rows * columns) / options.blockSize!);
      for (let i = 0; i < scales; i++) data[scalesAt + i] = i;
    }
    return { bytes: data, values: decodeArray({ format, shape, data }) };
  }

  const ways = fourBitBlockSizes.flatMap((blockSize) =>
    [false, true].map((doubleQuantization) => ({ blockSize, doubleQuantization })),
  );

  it.each(ways)('a product has the bits of a matmul with the decoded matrix, both ways: %o', async (how) => {
    const rows = 75;
    for (const columns of [301, 288, 576]) {
      const { bytes, values } = payload(rows, columns, how);
      for (const backend of backends) {
        const { kernels } = backend;
        const blocks = backend.uploadBlocks(bytes, format, [rows, columns]);
        const decoded = backend.upload(values, 'f32');
        for (const transposed of [false, true]) {
          const [n, k] = transposed ? [columns, rows] : [rows, columns];
          for (const m of [1, 3, 130]) {
            const x = backend.upload(numbers(m * k, m), 'f32');
            const y = await backend.read(kernels.matmulQuantized!(x, blocks, { format, m, rows, columns, transposed }));
            const spec = { ...dense, m, n, k, transposeB: !transposed };
            const expected = await backend.read(kernels.matmul(x, decoded, spec));
            expect(expected.every(Number.isFinite)).toBe(true);
            expectSameNumbers(y, expected, `${backend.engine}, ${columns}${transposed ? ', transposed' : ''}`);
          }
        }
      }
    }
  });

  it.each(ways)('gathers the rows that core decodes: %o', async (how) => {
    for (const columns of [1, 33, 301, 576]) {
      const { bytes, values } = payload(99, columns, how);
      const indices = Int32Array.from({ length: 99 }, (_, i) => (i * 7) % 99);
      const expected = new Float32Array(99 * columns);
      for (const [i, row] of indices.entries()) {
        expected.set(values.subarray(row * columns, (row + 1) * columns), i * columns);
      }
      for (const backend of backends) {
        const table = backend.uploadBlocks(bytes, format, [99, columns]);
        const rows = backend.kernels.gatherQuantized!(table, format, 99, columns, backend.upload(indices, 'i32'), 99);
        expectSameNumbers(await backend.read(rows), expected, `${backend.engine}, ${columns}`);
        expectSameNumbers(await backend.read(table), bytes, 'bytes read back');
      }
    }
  });

  it('refuses a payload that is not whole', () => {
    const { bytes } = payload(8, 64, { blockSize: 64 });
    for (const [wrong, code] of [
      [bytes.subarray(0, -4), 'BACKEND_ARGUMENT'],
      [bytes.subarray(0, 8), 'CORE_FORMAT'],
    ] as const) {
      expect(() => backends[0]!.uploadBlocks(wrong, format, [8, 64])).toThrow(expect.objectContaining({ code }));
    }
  });
});

it('decodes every float16', async () => {
  const bytes = new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer);
  const expected = decodeArray({ format: 'f16', shape: [1, 65536], data: bytes });
  for (const backend of backends) {
    const table = backend.uploadBlocks(bytes, 'f16', [1, 65536]);
    const row = backend.kernels.gatherQuantized!(table, 'f16', 1, 65536, backend.upload(Int32Array.of(0), 'i32'), 1);
    expectSameNumbers(await backend.read(row), expected, backend.engine);
  }
});
