import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { webgpu, type WebgpuFeature } from '@lowrank/backend-webgpu';
import { describe, expect, it } from 'vitest';

const program = fileURLToPath(new URL('programs/lifecycle.ts', import.meta.url));

/** Runs the program in a process of its own; a process that does not end by itself is killed and has no code. */
function run(mode: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--conditions=@lowrank/source', program, mode], { timeout: 60_000 });
    let output = '';
    child.stdout.on('data', (data) => (output += data));
    child.stderr.on('data', (data) => (output += data));
    child.on('close', (code) => resolve({ code, output }));
  });
}

describe('a process with WebGPU', () => {
  it.each([
    ['read', 'stays until its reads are answered, then ends by itself', '32768'],
    ['queued', 'ends by itself though work is queued', 'queued'],
    ['exit', 'ends at process.exit in the middle of work', 'leaving'],
    ['dispose', 'ends by itself after dispose', 'BACKEND_DISPOSED'],
  ])('%s: %s', async (mode, _claim, expected) => {
    expect(await run(mode)).toEqual({ code: 0, output: `${expected}\n` });
  });
});

describe('webgpu()', () => {
  it('says what it runs on', async () => {
    await using backend = await webgpu();
    expect(backend.device).not.toBe('');
    expect(backend.gpuDevice.limits.maxBufferSize).toBe(backend.supports.maxStorageBytes);
  });

  it('rejects waiting reads when it is disposed of while work is queued, and refuses later calls', async () => {
    const backend = await webgpu();
    const { kernels } = backend;
    const x = kernels.fill(1, 1 << 16, 'f32');
    for (let i = 0; i < 300; i++) kernels.accumulate(x, x, 1 << 16);
    const reading = backend.read(x).catch((error: unknown) => error);
    await backend.dispose();
    expect(await reading).toMatchObject({ code: 'BACKEND_DISPOSED' });
    await backend.dispose();
    for (const call of [
      () => backend.upload(new Float32Array(1), 'f32'),
      () => kernels.fill(0, 1, 'f32'),
      () => backend.free(x),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'BACKEND_DISPOSED' }));
    }
    await expect(backend.read(x)).rejects.toMatchObject({ code: 'BACKEND_DISPOSED' });
    await expect(backend.sync()).rejects.toMatchObject({ code: 'BACKEND_DISPOSED' });
    expect(backend.memory()).toMatchObject({ liveBytes: 0, liveStorages: 0, reservedBytes: 0 });
  });

  it('runs beside another of its kind, and refuses its storage', async () => {
    await using a = await webgpu();
    await using b = await webgpu();
    const [x, y] = [a.kernels.fill(1, 5, 'f32'), b.kernels.fill(2, 5, 'f32')];
    expect(await Promise.all([a.read(x), b.read(y)])).toEqual([
      new Float32Array(5).fill(1),
      new Float32Array(5).fill(2),
    ]);
    expect(() => a.kernels.accumulate(x, y, 5)).toThrow(expect.objectContaining({ code: 'BACKEND_ARGUMENT' }));
  });

  it('opens a device on the adapter that it is given', async () => {
    await using first = await webgpu();
    const { create } = await import('webgpu');
    const adapter = await create([]).requestAdapter();
    await using backend = await webgpu({ adapter: adapter! });
    expect(backend.device).toBe(first.device);
    expect(await backend.read(backend.kernels.fill(3, 2, 'f32'))).toEqual(Float32Array.of(3, 3));
  });

  it('uses no optional feature unasked, and refuses what no kernel uses', async () => {
    await using plain = await webgpu();
    for (const feature of ['shader-f16', 'subgroups']) expect(plain.gpuDevice.features.has(feature)).toBe(false);
    expect(plain.supports.productOperands).toBeUndefined();
    for (const feature of ['subgroups', 'no-such-feature']) {
      await expect(webgpu({ features: ['shader-f16', feature as WebgpuFeature] })).rejects.toMatchObject({
        code: 'BACKEND_ARGUMENT',
        message: `features names ${feature}, which no kernel uses; those that some use: shader-f16`,
      });
    }
  });

  it.each([{ memoryLimit: 0 }, { memoryLimit: Number.NaN }, { bindingLimit: -1 }])('refuses %j', async (options) => {
    await expect(webgpu(options)).rejects.toMatchObject({ code: 'BACKEND_ARGUMENT' });
  });
});
