/** Each thing that can go wrong on a device is provoked, and becomes an error that names kernel and shapes; nothing hangs. */
import { webgpu, type WebgpuBackend } from '@lowrank/backend-webgpu';
import type { Storage } from '@lowrank/core';
import { describe, expect, it } from 'vitest';

/** Makes the next shader of the device one that it refuses. */
function breakNextShader({ gpuDevice }: WebgpuBackend): void {
  const create = gpuDevice.createShaderModule.bind(gpuDevice);
  gpuDevice.createShaderModule = (descriptor) => {
    gpuDevice.createShaderModule = create;
    return create({ ...descriptor, code: `${descriptor.code}\nfn broken() -> u32 { return 1.5; }` });
  };
}

const text = (part: string): unknown => expect.stringContaining(part);

describe('a lost device', () => {
  it('rejects the reads that wait, and refuses every later call, saying so', async () => {
    const backend = await webgpu();
    const { kernels } = backend;
    const x = kernels.fill(1, 1 << 16, 'f32');
    for (let i = 0; i < 300; i++) kernels.accumulate(x, x, 1 << 16);
    const waiting = [backend.read(x), backend.sync()].map((promise) => promise.catch((error: unknown) => error));
    backend.gpuDevice.destroy();
    for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ code: 'BACKEND_LOST' });
    const lost = { code: 'BACKEND_LOST', message: text('destroyed') };
    await expect(backend.read(x)).rejects.toMatchObject(lost);
    await expect(backend.sync()).rejects.toMatchObject(lost);
    for (const call of [() => kernels.fill(0, 1, 'f32'), () => backend.upload(new Float32Array(1), 'f32')]) {
      expect(call).toThrow(expect.objectContaining(lost));
    }
    await backend.dispose();
  });

  it('is told though it is lost before anything is asked', async () => {
    const backend = await webgpu();
    backend.gpuDevice.destroy();
    const x = backend.kernels.fill(1, 100, 'f32');
    await expect(backend.read(x)).rejects.toMatchObject({ code: 'BACKEND_LOST' });
    await backend.dispose();
  });
});

describe('out of memory', () => {
  it('is told at once where one storage is larger than a buffer may be', async () => {
    await using backend = await webgpu();
    const length = backend.supports.maxStorageBytes / 4 + 1;
    expect(() => backend.kernels.fill(0, length, 'f32')).toThrow(
      expect.objectContaining({
        code: 'BACKEND_OUT_OF_MEMORY',
        kernel: 'fill',
        message: text(`fill(0, ${length}, f32)`),
      }),
    );
    expect(backend.memory()).toMatchObject({ liveBytes: 0, liveStorages: 0 });
  });

  it('is told at once where memoryLimit is reached, and what is free is given up first', async () => {
    await using backend = await webgpu({ memoryLimit: 1 << 20 });
    const { kernels } = backend;
    // In classes of sizes that do not fit each other.
    for (const length of [200_000, 150_000, 100_000, 70_000]) backend.free(kernels.fill(1, length, 'f32'));
    const most = kernels.fill(2, 200_000, 'f32');
    expect(() => kernels.unary('neg', most, 200_000)).toThrow(
      expect.objectContaining({
        code: 'BACKEND_OUT_OF_MEMORY',
        kernel: 'unary',
        message: text('unary(neg, f32[200000], 200000)'),
      }),
    );
    expect(backend.memory().reservedBytes).toBeLessThanOrEqual(1 << 20);
    expect((await backend.read(most)).at(-1)).toBe(2);
  });

  it('is told by the next read where the device finds it later, and the backend goes on', async () => {
    await using backend = await webgpu();
    const { gpuDevice, kernels } = backend;
    const create = gpuDevice.createBuffer.bind(gpuDevice);
    const pop = gpuDevice.popErrorScope.bind(gpuDevice);
    // As a device does that has no memory for one buffer: the answer comes later, from the outermost of three scopes.
    let scopes = 0;
    gpuDevice.createBuffer = (descriptor) => {
      gpuDevice.createBuffer = create;
      scopes = 3;
      return create(descriptor);
    };
    gpuDevice.popErrorScope = () => {
      const answer = pop();
      const outermost = scopes === 1;
      scopes = Math.max(0, scopes - 1);
      return outermost ? answer.then(() => ({ message: 'no memory' })) : answer;
    };
    const x = kernels.fill(1, 1000, 'f32');
    await expect(backend.read(x)).rejects.toMatchObject({
      code: 'BACKEND_OUT_OF_MEMORY',
      kernel: 'fill',
      message: text('fill(1, 1000, f32) asked for a buffer of 4096 bytes'),
    });
    // What was to be in it is lost, and says so.
    expect(() => kernels.unary('neg', x, 1000)).toThrow(expect.objectContaining({ code: 'BACKEND_OUT_OF_MEMORY' }));
    backend.free(x);
    const y = kernels.fill(5, 1000, 'f32');
    expect((await backend.read(y))[999]).toBe(5);
  });
});

describe('a program that the device refuses', () => {
  it('is told by the next read, with the kernel, its shapes and the reason', async () => {
    await using backend = await webgpu();
    const { kernels } = backend;
    const [a, b] = [6, 8].map((length) => backend.upload(new Float32Array(length).fill(1), 'f32')) as [
      Storage,
      Storage,
    ];
    await backend.sync();
    breakNextShader(backend);
    const flags = { transposeA: false, transposeB: false, batchA: false, batchB: false };
    const c = kernels.matmul(a, b, { batch: 1, m: 3, n: 4, k: 2, ...flags });
    await expect(backend.read(c)).rejects.toMatchObject({
      code: 'BACKEND_KERNEL',
      kernel: 'matmul',
      message: expect.stringMatching(
        /matmul\(f32\[6\], f32\[8\], \{ batch: 1, m: 3, n: 4, k: 2.*return 1\.5/s,
      ) as unknown,
    });
    // The same program again fails at once; others run.
    expect(() => kernels.matmul(a, b, { batch: 1, m: 3, n: 4, k: 2, ...flags })).toThrow(
      expect.objectContaining({ code: 'BACKEND_KERNEL' }),
    );
    expect(await backend.read(kernels.unary('neg', a, 6))).toEqual(new Float32Array(6).fill(-1));
  });

  it('is told by sync as well, once', async () => {
    await using backend = await webgpu();
    const x = backend.upload(new Float32Array(10), 'f32');
    breakNextShader(backend);
    backend.kernels.unary('abs', x, 10);
    await expect(backend.sync()).rejects.toMatchObject({ code: 'BACKEND_KERNEL', kernel: 'unary' });
    await backend.sync();
  });
});

describe('a mistake in commands', () => {
  it('names the kernel that the device complains of', async () => {
    await using backend = await webgpu();
    const { gpuDevice, kernels } = backend;
    const x = backend.upload(new Float32Array(100).fill(1), 'f32');
    await backend.sync();
    const create = gpuDevice.createBindGroup.bind(gpuDevice);
    gpuDevice.createBindGroup = (descriptor) => create({ ...descriptor, entries: [] });
    const y = kernels.unary('abs', x, 100);
    await expect(backend.read(y)).rejects.toMatchObject({ code: 'BACKEND_KERNEL' });
    gpuDevice.createBindGroup = create;
    expect((await backend.read(kernels.unary('neg', x, 100)))[99]).toBe(-1);
  });

  it('of the application, on the same device, does not pass for a result', async () => {
    await using backend = await webgpu();
    backend.gpuDevice.createBuffer({ size: 4, usage: 0 });
    await expect
      .poll(async () => backend.sync().catch((error: unknown) => (error as Error).message), { timeout: 10_000 })
      .toMatch(/usage/i);
  });
});

describe('an index that the table does not have', () => {
  it('gives NaN, and adds nothing', async () => {
    await using backend = await webgpu();
    const { kernels } = backend;
    const table = backend.upload(Float32Array.of(1, 2, 3, 4), 'f32');
    const indices = backend.upload(Int32Array.of(1, 7, -1), 'i32');
    const rows = await backend.read(kernels.gather(table, 2, 2, indices, 3));
    expect(rows).toEqual(Float32Array.of(3, 4, Number.NaN, Number.NaN, Number.NaN, Number.NaN));
    const source = backend.upload(Float32Array.of(1, 2, 3, 4, 5, 6), 'f32');
    expect(await backend.read(kernels.scatterAdd(source, indices, 3, 2, 2))).toEqual(Float32Array.of(0, 0, 1, 2));
  });
});
