import { countingBackend, type CountingBackend } from '@lowrank/conformance';
import { clipGradients, clippingScale, gradientNorm, scaleGradients, tensor, type Tensor } from '@lowrank/core';
import { describe, expect, test } from 'vitest';
import { bothWays } from '../support/backends.ts';

for (const { name, make } of bothWays) {
  describe(`gradient clipping, ${name}`, () => {
    const parameters = async (): Promise<{ params: Tensor[]; backend: CountingBackend; memory: () => number }> => {
      const backend = countingBackend(await make());
      const params = [[3, 0], [4], [7]].map((values) => {
        const param = tensor(backend, [...values], [values.length]);
        param.requiresGrad = true;
        return param;
      });
      params[0]!.grad = tensor(backend, [3, 0], [2]);
      params[1]!.grad = tensor(backend, [-4], [1]);
      return { params, backend, memory: () => backend.memory().liveStorages };
    };
    const gradients = async (params: Tensor[]): Promise<(number[] | undefined)[]> =>
      Promise.all(params.map(async ({ grad }) => (grad === undefined ? undefined : Array.from(await grad.data()))));

    test('the norm is that of all gradients as one vector, missing ones left out', async () => {
      const { params, memory } = await parameters();
      const before = memory();
      const norm = gradientNorm(params);
      expect(norm.shape).toEqual([]);
      expect(await norm.item()).toBe(5);
      norm.dispose();
      expect(memory()).toBe(before);
    });

    test('above the bound gradients shrink to it, the norm before is returned and nothing is read', async () => {
      const { params, memory, backend } = await parameters();
      const before = memory();
      const norm = clipGradients(params, 1);
      expect(backend.counts().readBytes).toBe(0);
      expect(memory()).toBe(before + 1);
      expect(await norm.item()).toBe(5);
      const factor = 1 / (5 + 1e-6);
      const [first, second, third] = await gradients(params);
      expect(first![0]).toBeCloseTo(3 * factor, 15);
      expect(first![1]).toBe(0);
      expect(second![0]).toBeCloseTo(-4 * factor, 15);
      expect(third).toBeUndefined();
    });

    test('below the bound gradients keep their bits', async () => {
      const { params } = await parameters();
      clipGradients(params, 5.1);
      expect(await gradients(params)).toEqual([[3, 0], [-4], undefined]);
    });

    test('the scale that clips leaves the gradients as they are, and counts what they are scaled by besides', async () => {
      const { params, memory, backend } = await parameters();
      const before = memory();
      backend.resetCounts();
      const { norm, gradientScale } = clippingScale(params, 1, 0.5);
      expect(backend.counts().readBytes).toBe(0);
      expect(memory()).toBe(before + 2);
      expect(await gradients(params)).toEqual([[3, 0], [-4], undefined]);
      expect(await norm.item()).toBe(2.5);
      expect(await gradientScale.item()).toBeCloseTo(0.5 / (2.5 + 1e-6), 15);
      expect(await clippingScale(params, 2.6, 0.5).gradientScale.item()).toBe(0.5);
      expect(await clippingScale(params, 5.1).gradientScale.item()).toBe(1);
    });

    test('scaling multiplies every gradient', async () => {
      const { params, memory } = await parameters();
      const before = memory();
      scaleGradients(params, 0.5);
      expect(await gradients(params)).toEqual([[1.5, 0], [-2], undefined]);
      expect(memory()).toBe(before);
    });

    test('a bound of 0, or no gradient at all, is refused', async () => {
      const { params } = await parameters();
      expect(() => clippingScale(params, NaN)).toThrow(expect.objectContaining({ code: 'CORE_ARGUMENT' }));
      expect(() => clipGradients(params, 0)).toThrow(expect.objectContaining({ code: 'CORE_ARGUMENT' }));
      expect(() => gradientNorm([params[2]!])).toThrow(expect.objectContaining({ code: 'CORE_NO_GRADIENT' }));
    });
  });
}
