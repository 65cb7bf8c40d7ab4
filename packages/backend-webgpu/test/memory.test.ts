import { webgpu, type WebgpuBackend } from '@lowrank/backend-webgpu';
import { describe, expect, it } from 'vitest';

const square = (n: number) => {
  const flags = { transposeA: false, transposeB: false, batchA: false, batchB: false };
  return { batch: 1, m: n, n, k: n, ...flags };
};

/** As a training step does: uploads, kernels, in-place changes, frees, a read. */
async function step(backend: WebgpuBackend, weight: ReturnType<WebgpuBackend['upload']>, round: number): Promise<void> {
  const { kernels } = backend;
  const x = backend.upload(new Float32Array(64 * 64).fill(round), 'f32');
  const h = kernels.matmul(x, weight, square(64));
  const y = kernels.unary('tanh', h, 64 * 64);
  backend.free(h);
  const loss = kernels.reduce('sum', y, 1, 64 * 64, 1);
  kernels.accumulate(weight, y, 64 * 64);
  for (const storage of [x, y]) backend.free(storage);
  await backend.read(loss);
  backend.free(loss);
}

describe('the pool', () => {
  it('gives a step the buffers, pipelines and bind groups of the steps before', async () => {
    await using backend = await webgpu();
    const weight = backend.upload(new Float32Array(64 * 64), 'f32');
    for (let i = 0; i < 3; i++) await step(backend, weight, i);
    const before = backend.counters();
    for (let i = 3; i < 6; i++) await step(backend, weight, i);
    const after = backend.counters();
    expect(after.dispatches - before.dispatches).toBe(3 * 4);
    expect(after.submits - before.submits).toBe(3);
    expect(after.buffersReused - before.buffersReused).toBe(3 * 4);
    for (const made of ['buffersCreated', 'buffersDestroyed', 'pipelinesCreated', 'bindGroupsCreated'] as const) {
      expect(after[made] - before[made], made).toBe(0);
    }
    expect(after.uploadedBytes - before.uploadedBytes).toBe(3 * 64 * 64 * 4);
    expect(after.readBytes - before.readBytes).toBe(3 * 4);
  });

  it('keeps no more than 5/4 of the most in use and 64 MiB, and gives up what has lain free longest', async () => {
    await using backend = await webgpu();
    // Each of a size class of its own, 4 to 32 MiB, so that none serves for another.
    const sizes = Array.from({ length: 24 }, (_, i) => (8 + (i % 8)) * 2 ** (17 + Math.floor(i / 8)));
    for (const length of sizes) backend.free(backend.upload(new Float32Array(length), 'f32'));
    await backend.sync();
    const peak = sizes.at(-1)! * 4;
    expect(backend.memory().reservedBytes).toBeLessThanOrEqual(1.25 * peak + 64 * 2 ** 20);
    const before = backend.counters();
    expect(before.buffersDestroyed).toBeGreaterThan(10);
    // The last is still there, the first is not.
    backend.free(backend.upload(new Float32Array(sizes.at(-1)!), 'f32'));
    expect(backend.counters().buffersCreated - before.buffersCreated).toBe(0);
    backend.free(backend.upload(new Float32Array(sizes[0]!), 'f32'));
    expect(backend.counters().buffersCreated - before.buffersCreated).toBe(1);
    await backend.sync();
  });

  it('never lets an upload overtake the kernels that were enqueued before it', async () => {
    await using backend = await webgpu();
    const { kernels } = backend;
    const sum = kernels.fill(0, 1000, 'f32');
    let total = 0;
    for (let i = 1; i <= 2000; i++) {
      const x = backend.upload(new Float32Array(1000).fill(i), 'f32');
      kernels.accumulate(sum, x, 1000);
      backend.free(x);
      total += i;
    }
    expect((await backend.read(sum))[999]).toBe(total);
    expect(backend.memory().liveStorages).toBe(1);
  });
});

describe('the queue', () => {
  it('runs 10,000 kernels that were enqueued in one go, in order, in few submits', async () => {
    await using backend = await webgpu();
    const { kernels } = backend;
    const seven = kernels.fill(7, 1, 'f32');
    let x = kernels.fill(0.5, 1, 'f32');
    let expected = 0.5;
    for (let i = 0; i < 10_000; i++) {
      // The order of these operations shows in the result, which is exact.
      const op = i % 2 === 0 ? 'sub' : 'mul';
      const next = kernels.binary(op, x, [1], seven, [1]);
      expected = Math.fround(op === 'sub' ? expected - 7 : expected * 7);
      if (Math.abs(expected) > 1e6) {
        expected = 0.5;
        kernels.writeSlice(next, [1], kernels.fill(0.5, 1, 'f32'), [0], [1]);
      }
      backend.free(x);
      x = next;
    }
    expect(await backend.read(x)).toEqual(Float32Array.of(expected));
    const { dispatches, submits } = backend.counters();
    expect(dispatches).toBeGreaterThan(10_000);
    expect(submits).toBeLessThan(dispatches / 200);
  });

  it('writes what is filled when it is first needed, and a number not at all', async () => {
    await using backend = await webgpu();
    const { kernels } = backend;
    const x = backend.upload(Float32Array.of(1, 2, 3), 'f32');
    const two = kernels.fill(2, 1, 'f32');
    expect(await backend.read(kernels.binary('mul', x, [3], two, [1]))).toEqual(Float32Array.of(2, 4, 6));
    expect(backend.counters().dispatchesByKernel).toEqual({ binary: 1 });
    const sum = kernels.fill(-1, 3, 'f32');
    kernels.accumulate(sum, x, 3);
    expect(await backend.read(sum)).toEqual(Float32Array.of(0, 1, 2));
    expect(await backend.read(two)).toEqual(Float32Array.of(2));
    expect(await backend.read(kernels.binary('sub', two, [1], x, [3]))).toEqual(Float32Array.of(1, 0, -1));
    expect(backend.counters().dispatchesByKernel).toEqual({ binary: 2, fill: 2, accumulate: 1 });
  });

  it('joins many parts in few dispatches', async () => {
    await using backend = await webgpu({ limits: 'default' });
    const parts = Array.from({ length: 30 }, (_, i) => backend.upload(Float32Array.of(i, i + 0.5), 'f32'));
    const joined = backend.kernels.concat(
      parts,
      2,
      Array.from({ length: 30 }, () => 1),
      1,
    );
    const whole = Array.from({ length: 30 }, (_, i) => i);
    expect([...(await backend.read(joined))]).toEqual([...whole, ...whole.map((i) => i + 0.5)]);
    expect(backend.counters().dispatches).toBe(5);
  });

  it('counts dispatches by the kernel that was called', async () => {
    await using backend = await webgpu();
    const { kernels } = backend;
    const x = kernels.fill(1, 8, 'f32');
    kernels.scatterAdd(x, backend.upload(Int32Array.of(0, 1), 'i32'), 2, 3, 4);
    await backend.sync();
    expect(backend.counters().dispatchesByKernel).toEqual({ fill: 1, scatterAdd: 3 });
  });
});
