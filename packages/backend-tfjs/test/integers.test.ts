/** How integers are held for WebGL and WebGPU, judged in Node: the same class over plain JavaScript's kernels. */
import { backendConformance } from '@lowrank/conformance';
import type { Backend } from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { TfjsBackend } from '../src/backend.ts';
import { GraphicsEngine } from '../src/engines/graphics.ts';
import { importBackend } from '../src/engines/tfjs-core.ts';

async function withIntegersOnHost(): Promise<TfjsBackend> {
  const { core, factory } = await importBackend('cpu', () => import('@tensorflow/tfjs-backend-cpu'));
  // It has been told already that it is slow.
  const kernels = Object.assign(await factory(), { firstUse: false });
  const engine = new GraphicsEngine('cpu', core, kernels, {
    supports: { deterministic: true, nonFinite: false, maxStorageBytes: 2 ** 32 },
    memoryLimit: Number.POSITIVE_INFINITY,
    quirks: {
      maximumLosesNaN: false,
      signIsRough: true,
      maxBatch: 100,
      castSaturates: true,
      sumSplitByThreads: true,
      plainMatmulOnly: false,
    },
  });
  return new TfjsBackend(engine);
}

describe('integers on the host, products of few matrices, sums in pieces', () => {
  backendConformance({ describe, it }, withIntegersOnHost, { modes: ['test'] });
});

describe('integers that were cast from floats', () => {
  const floats = Float32Array.of(1.5, -2.5, 3, 0, 2, 1);
  const cast = (backend: Backend) => backend.kernels.cast(backend.upload(floats, 'f32'), 6, 'i32');

  it('are moved like those that were uploaded', async () => {
    await using backend = await withIntegersOnHost();
    const { kernels } = backend;
    const x = cast(backend);
    const turned = kernels.permute(x, [2, 3], [1, 0]);
    expect(await backend.read(turned)).toEqual(Int32Array.of(1, 0, -2, 2, 3, 1));
    expect(await backend.read(kernels.slice(turned, [6], [1], [3]))).toEqual(Int32Array.of(0, -2, 2));
    expect(await backend.read(kernels.concat([x, x], 1, [6, 6], 1))).toEqual(
      Int32Array.of(1, -2, 3, 0, 2, 1, 1, -2, 3, 0, 2, 1),
    );
    expect(await backend.read(kernels.cast(x, 6, 'f32'))).toEqual(Float32Array.of(1, -2, 3, 0, 2, 1));
  });

  it('are indices', async () => {
    await using backend = await withIntegersOnHost();
    const { kernels } = backend;
    const indices = kernels.slice(cast(backend), [6], [2], [3]);
    const table = backend.upload(Float32Array.of(10, 11, 12, 13), 'f32');
    expect(await backend.read(kernels.gather(table, 4, 1, indices, 3))).toEqual(Float32Array.of(13, 10, 12));
  });

  it('leave nothing behind', async () => {
    await using backend = await withIntegersOnHost();
    const x = backend.upload(floats, 'f32');
    const y = backend.kernels.cast(x, 6, 'i32');
    const z = backend.kernels.permute(y, [2, 3], [1, 0]);
    for (const storage of [x, y, z]) backend.free(storage);
    expect(backend.tensorCount()).toBe(0);
  });
});
