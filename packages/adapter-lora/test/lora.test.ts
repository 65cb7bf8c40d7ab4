import { inject, linear, tensor } from "@lowrank/core";
import { reference } from '@lowrank/conformance';
import { expect, it } from 'vitest';
import { lora } from '@lowrank/adapter-lora';

/**
 * W = [[1, 2, 3], [4, 5, 6]], b = [0.5, -0.5], x = [1, -1, 2]; A = [[1, 0, 2]], B = [[3], [-1]], s = 4 / 1.
 * W x + b = [5.5, 10.5]; A x = 5; s B A x = [60, -20].
 */
it('adds s B A x to W x + b', async () => {
  const backend = await reference();
  const layer = linear(backend, { values: [1, 2, 3, 4, 5, 6], shape: [2, 3] }, [0.5, -0.5]);
  const adapter = await inject(layer, lora({ rank: 1, alpha: 4, targetModules: ['linear'] }));
  const x = tensor(backend, [1, -1, 2], [3]);
  expect([...(await layer.forward(x).data())]).toEqual([5.5, 10.5]);
  adapter.load(new Map([['linear', { params: { A: { format: 'f32', shape: [1, 3], data: Float32Array.of(1, 0, 2) }, B: { format: 'f32', shape: [2, 1], data: Float32Array.of(3, -1) } }, buffers: {} }]]));
  expect([...(await layer.forward(x).data())]).toEqual([65.5, -9.5]);
  await adapter.merge();
  expect([...(await layer.forward(x).data())]).toEqual([65.5, -9.5]);
});
