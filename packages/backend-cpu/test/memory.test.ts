import { BackendError, type Storage } from '@lowrank/core';
import { cpu, type CpuOptions } from '@lowrank/backend-cpu';
import { describe, expect, it } from 'vitest';

const MIB = 2 ** 20;
const engines: CpuOptions[] = [
  { engine: 'native', threads: 1 },
  { engine: 'wasm', threads: 1 },
  { engine: 'wasm-unshared' },
];

describe.each(engines)('memory of $engine', (options) => {
  it('is counted as it was asked for', async () => {
    const backend = await cpu(options);
    const { liveStorages, liveBytes } = backend.memory();
    expect({ liveStorages, liveBytes }).toEqual({ liveStorages: 0, liveBytes: 0 });
    const a = backend.upload(new Float32Array(10), 'f32');
    const b = backend.kernels.fill(0, 1000, 'i32');
    expect(backend.memory()).toMatchObject({ liveStorages: 2, liveBytes: 4040, peakBytes: 4040 });
    backend.free(b);
    expect(backend.memory()).toMatchObject({ liveStorages: 1, liveBytes: 40 });
    backend.resetPeak();
    expect(backend.memory().peakBytes).toBe(40);
    const c = backend.kernels.unary('neg', a, 10);
    backend.free(c);
    expect(backend.memory()).toMatchObject({ liveBytes: 40, peakBytes: 80 });
    expect(backend.memory().reservedBytes).toBeGreaterThanOrEqual(4040);
    await backend.dispose();
  });

  it('is given back once, and only to its own backend', async () => {
    const backend = await cpu(options);
    const other = await cpu(options);
    const x = backend.kernels.fill(0, 4, 'f32');
    expect(() => other.free(x)).toThrow(expect.objectContaining({ code: 'BACKEND_ARGUMENT' }));
    expect(() => other.kernels.unary('neg', x, 4)).toThrow(expect.objectContaining({ code: 'BACKEND_ARGUMENT' }));
    backend.free(x);
    expect(() => backend.free(x)).toThrow(expect.objectContaining({ code: 'BACKEND_FREED' }));
    expect(() => backend.kernels.unary('neg', x, 4)).toThrow(expect.objectContaining({ code: 'BACKEND_FREED' }));
    await expect(backend.read(x)).rejects.toMatchObject({ code: 'BACKEND_FREED' });
    expect(backend.memory()).toMatchObject({ liveStorages: 0, liveBytes: 0 });
    await Promise.all([backend.dispose(), other.dispose()]);
  });

  it('runs out with a typed error that names kernel and numbers, and works on afterwards', async () => {
    const backend = await cpu({ ...options, memoryLimit: 64 * MIB });
    const { kernels } = backend;
    const held: Storage[] = [];
    let failure: unknown;
    try {
      for (;;) held.push(kernels.fill(1, 2 * MIB, 'f32'));
    } catch (error) {
      failure = error;
    }
    expect(held.length).toBe(8);
    expect(failure).toBeInstanceOf(BackendError);
    expect(failure).toMatchObject({ code: 'BACKEND_OUT_OF_MEMORY', kernel: 'fill', value: 8 * MIB });
    expect((failure as Error).message).toContain(`${8 * MIB} bytes: ${64 * MIB} are in use`);
    expect(() => backend.upload(new Float32Array(MIB), 'f32')).toThrow(
      expect.objectContaining({ code: 'BACKEND_OUT_OF_MEMORY', kernel: 'upload' }),
    );
    // What a kernel had allocated before it ran out is not lost: its output fits here, its scratch does not.
    backend.free(held.pop()!);
    const before = backend.memory();
    expect(() => kernels.reduce('sum', held[0]!, 2 * MIB, 4097, 1)).toThrow(
      expect.objectContaining({ code: 'BACKEND_OUT_OF_MEMORY', kernel: 'reduce' }),
    );
    expect(backend.memory()).toMatchObject({ liveBytes: before.liveBytes, liveStorages: before.liveStorages });
    const sum = kernels.reduce('sum', held[0]!, 1, 2 * MIB, 1);
    expect(await backend.read(sum)).toEqual(Float32Array.from([2 * MIB]));
    await backend.dispose();
  });

  it('does not grow while the same work is repeated, though the queue never runs dry', async () => {
    const backend = await cpu(options);
    const { kernels } = backend;
    const weight = backend.upload(new Float32Array(300 * 100).fill(0.01), 'f32');
    const spec = {
      batch: 1,
      m: 100,
      n: 100,
      k: 300,
      transposeA: false,
      transposeB: false,
      batchA: false,
      batchB: false,
    };
    const step = (): void => {
      const x = backend.upload(new Float32Array(100 * 300), 'f32');
      const y = kernels.matmul(x, weight, spec);
      const z = kernels.unary('exp', y, 10_000);
      for (const storage of [x, y, z]) backend.free(storage);
    };
    let lag = backend.sync();
    for (let i = 0; i < 10; i++) step();
    const { reservedBytes } = backend.memory();
    for (let i = 0; i < 200; i++) {
      step();
      if (i % 10 === 9) {
        await lag;
        lag = backend.sync();
      }
    }
    await lag;
    expect(backend.memory()).toMatchObject({ liveStorages: 1, liveBytes: 120_000, reservedBytes });
    await backend.dispose();
  });
});

describe('memory of WebAssembly', () => {
  it.each(['wasm', 'wasm-unshared'] as const)('%s ends at 65,535 pages with a typed error', async (engine) => {
    const backend = await cpu({ engine, threads: 1 });
    expect(backend.supports.maxStorageBytes).toBeLessThan(65_535 * 65_536);
    const error: unknown = expect.objectContaining({ code: 'BACKEND_OUT_OF_MEMORY', value: 2 ** 32 });
    expect(() => backend.kernels.fill(0, 2 ** 30, 'f32')).toThrow(error);
    await backend.dispose();
  });
});
