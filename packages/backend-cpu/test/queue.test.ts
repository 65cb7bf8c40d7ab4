import type { CpuBackend, CpuOptions } from '@lowrank/backend-cpu';
import { cpu } from '@lowrank/backend-cpu';
import { describe, expect, it } from 'vitest';

const engines: CpuOptions[] = [
  { engine: 'native', threads: 2 },
  { engine: 'wasm', threads: 2 },
  { engine: 'wasm-unshared' },
];

async function using<Result>(options: CpuOptions, use: (backend: CpuBackend) => Promise<Result>): Promise<Result> {
  const backend = await cpu(options);
  try {
    return await use(backend);
  } finally {
    await backend.dispose();
  }
}

const first = async (backend: CpuBackend, storage: Parameters<CpuBackend['read']>[0]): Promise<number> =>
  (await backend.read(storage))[0]!;

describe.each(engines)('the queue of $engine', (options) => {
  it('runs 10,000 commands that were enqueued in one go, in order', async () => {
    await using(options, async (backend) => {
      const { kernels } = backend;
      // The order of these operations shows in the result.
      const three = kernels.fill(3, 1, 'f32');
      const seven = kernels.fill(7, 1, 'f32');
      let x = kernels.fill(0.5, 1, 'f32');
      let expected = 0.5;
      for (let i = 0; i < 10_000; i++) {
        const op = i % 3 === 0 ? 'sub' : i % 3 === 1 ? 'div' : 'mul';
        const by = i % 2 === 0 ? three : seven;
        const next = kernels.binary(op, x, [1], by, [1]);
        const value = i % 2 === 0 ? 3 : 7;
        expected = Math.fround(op === 'sub' ? expected - value : op === 'div' ? expected / value : expected * value);
        backend.free(x);
        x = next;
      }
      expect(await first(backend, x)).toBe(expected);
      expect(backend.memory().liveStorages).toBe(3);
    });
  });

  it('keeps the order when the ring is full: 30,000 commands with uploads and reads among them', async () => {
    await using(options, async (backend) => {
      const { kernels } = backend;
      const sum = kernels.fill(0, 3000, 'f32');
      const reads: Promise<number>[] = [];
      const expected: number[] = [];
      let total = 0;
      for (let i = 0; i < 30_000; i++) {
        if (i % 500 === 0) {
          // Larger than what travels inside a command: has to wait its turn, or to find memory that nobody uses.
          const values = new Float32Array(3000).fill(i);
          const storage = backend.upload(values, 'f32');
          values.fill(Number.NaN);
          kernels.accumulate(sum, storage, 3000);
          backend.free(storage);
          total += i;
        } else {
          const one = kernels.fill(1, 3000, 'f32');
          kernels.accumulate(sum, one, 3000);
          backend.free(one);
          total += 1;
        }
        if (i % 3000 === 7) {
          reads.push(first(backend, sum));
          expected.push(total);
        }
      }
      reads.push(first(backend, sum));
      expected.push(total);
      expect(await Promise.all(reads)).toEqual(expected.map(Math.fround));
    });
  });

  it('gives a read what was there when it was asked for, whatever follows', async () => {
    await using(options, async (backend) => {
      const { kernels } = backend;
      const x = kernels.fill(1, 100_000, 'f32');
      const before = first(backend, x);
      kernels.accumulate(x, x, 100_000);
      const between = first(backend, x);
      backend.free(x);
      const other = kernels.fill(9, 100_000, 'f32');
      expect(await Promise.all([before, between, first(backend, other)])).toEqual([1, 2, 9]);
    });
  });

  it('never blocks JavaScript: its event loop turns while work is queued', async () => {
    await using(options, async (backend) => {
      const { kernels } = backend;
      const length = 1 << 20;
      let x = kernels.fill(0.5, length, 'f32');
      for (let i = 0; i < 60; i++) {
        const next = kernels.unary('tanh', x, length);
        backend.free(x);
        x = next;
      }
      let turns = 0;
      const turn = (): void => {
        turns++;
        next = setImmediate(turn);
      };
      let next = setImmediate(turn);
      expect(await first(backend, x)).toBeGreaterThan(0);
      clearImmediate(next);
      expect(turns).toBeGreaterThan(3);
    });
  });

  it('copies what is uploaded before it returns', async () => {
    await using(options, async (backend) => {
      for (const length of [1, 7, 1000, 100_000]) {
        const values = Float32Array.from({ length }, (_, i) => i);
        const storage = backend.upload(values, 'f32');
        values.fill(-1);
        const read = await backend.read(storage);
        expect(read.length).toBe(length);
        expect(read.every((value, i) => value === i)).toBe(true);
      }
    });
  });

  it('converts what is uploaded to the type that is asked for', async () => {
    await using(options, async (backend) => {
      const floats = backend.upload(Float64Array.from([0.1, -2]), 'f32');
      const integers = backend.upload(Uint8Array.from([3, 255]), 'i32');
      expect(await backend.read(floats)).toEqual(Float32Array.from([0.1, -2]));
      expect(await backend.read(integers)).toEqual(Int32Array.from([3, 255]));
      const none = backend.upload(new Float32Array(0), 'f32');
      expect(await backend.read(none)).toEqual(new Float32Array(0));
    });
  });

  it('reports an index out of range at the next read, with kernel and sizes, and goes on', async () => {
    await using(options, async (backend) => {
      const { kernels } = backend;
      const table = kernels.fill(5, 12, 'f32');
      const rows = kernels.gather(table, 4, 3, backend.upload(Int32Array.from([0, 4, -1, 3]), 'i32'), 4);
      await expect(backend.sync()).rejects.toMatchObject({
        code: 'BACKEND_KERNEL',
        kernel: 'gather',
        message: expect.stringMatching(
          /gather: index (4|-1) is out of range \(rows 4, columns 3, count 4\)/,
        ) as unknown,
      });
      expect(await backend.read(rows)).toEqual(Float32Array.from([5, 5, 5, NaN, NaN, NaN, NaN, NaN, NaN, 5, 5, 5]));
    });
  });
});
