import { reference } from '@lowrank/conformance';
import { add, fromStorage, tensor } from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import type * as tensors from '../../src/tensor/tensor.ts';

describe('plugins that do not fit', () => {
  it("a second copy of core's tensors are refused, not silently cut off the graph", async () => {
    const backend = await reference();
    const copyUrl = new URL('../../src/tensor/tensor.ts?second-copy', import.meta.url).href;
    const copy = (await import(/* @vite-ignore */ copyUrl)) as typeof tensors;
    const mine = tensor(backend, [1, 2], [2]);
    const theirs = copy.tensor(backend, [3, 4], [2]);
    expect(copy.Tensor).not.toBe(mine.constructor);
    expect(() => add(mine, theirs)).toThrow(expect.objectContaining({ code: 'CORE_TWO_COPIES' }));
  });

  it('a backend of another interface version is refused at its first tensor', async () => {
    const backend = { ...(await reference()), interfaceVersion: 2 } as unknown as Awaited<ReturnType<typeof reference>>;
    expect(() => fromStorage(backend, backend.upload(new Float32Array(1), 'f32'), [1], 'f32')).toThrow(
      expect.objectContaining({ code: 'CORE_INTERFACE_VERSION', value: 2 }),
    );
  });
});
