/** What an application does with TensorFlow.js goes on as it is while our backends work beside it. */
import type { Backend } from '@lowrank/core';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { engines, start } from './engines.ts';

const data = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i));
const spec = {
  batch: 1,
  m: 8,
  n: 8,
  k: 8,
  transposeA: false,
  transposeB: true,
  batchA: false,
  batchB: false,
} as const;

/** exp(x x^T), its row sums, and a row gathered: a few kernels of ours, what they gave freed again but the result. */
async function ours(backend: Backend): Promise<number[]> {
  const { kernels } = backend;
  const x = backend.upload(data, 'f32');
  const product = kernels.matmul(x, x, spec);
  const exponentials = kernels.unary('exp', product, 64);
  const sums = kernels.reduce('sum', exponentials, 8, 8, 1);
  const turned = kernels.permute(exponentials, [8, 8], [1, 0]);
  kernels.accumulate(turned, exponentials, 64);
  const values = await backend.read(sums);
  for (const storage of [x, product, exponentials, sums, turned]) backend.free(storage);
  return Array.from(values);
}

/** The same sums by the application, on its own backend; its tensors are tidied. */
function theirs(x: tf.Tensor2D): number[] {
  return tf.tidy(() => Array.from(tf.sum(tf.exp(tf.matMul(x, x, false, true)), 1).dataSync()));
}

function expectClose(a: readonly number[], b: readonly number[]): void {
  expect(a).toHaveLength(b.length);
  // exp(t), t up to 8, of a product that two engines round differently: 8 roundings of each of 8 terms, 2^-24 each.
  for (const [i, value] of a.entries()) expect(Math.abs(value / b[i]! - 1)).toBeLessThan(64 * 2 ** -24);
}

let backends: Backend[] = [];
afterAll(() => Promise.all(backends.map((backend) => backend.dispose())));

describe('an application that leaves the choice of its backend to TensorFlow.js', () => {
  it('gets the one that it would have got without us', async () => {
    // WebAssembly would be preferred to cpu, and would have to be waited for, had the application imported it.
    backends = await Promise.all(engines.map((engine) => start(engine)));
    expect(tf.engine().backendName).toBeFalsy();
    const x = tf.tensor2d(data, [8, 8]);
    expect(tf.getBackend()).toBe('cpu');
    x.dispose();
  });
});

describe.each(['cpu', 'wasm'])('an application on %s', (own) => {
  let x: tf.Tensor2D;
  let expected: number[];
  beforeAll(async () => {
    await tf.setBackend(own);
    x = tf.tensor2d(data, [8, 8]);
    expected = theirs(x);
  });
  afterAll(() => x.dispose());

  it('keeps its backend, its tensors and their count, whatever we do in between', async () => {
    const kept = tf.keep(tf.mul(x, 2));
    const before = tf.memory();
    for (let round = 0; round < 3; round++) {
      for (const backend of backends) {
        expectClose(await ours(backend), expected);
        // Work of the application between two kernels of ours, inside of a scope of its own.
        const { kernels } = backend;
        const storage = backend.upload(data, 'f32');
        const sums = tf.tidy(() => {
          const exponentials = tf.exp(tf.matMul(x, x, false, true));
          backend.free(kernels.unary('exp', storage, 64));
          const result = tf.sum(exponentials, 1);
          backend.free(kernels.matmul(storage, storage, spec));
          return Array.from(result.dataSync());
        });
        expectClose(sums, expected);
        backend.free(storage);
        expectClose(theirs(x), expected);
        expect(tf.getBackend()).toBe(own);
        expect(tf.memory()).toEqual(before);
      }
    }
    expect(Array.from(kept.dataSync())).toEqual(Array.from(data, (value) => Math.fround(value * 2)));
    kept.dispose();
  });

  it('is not changed when backends of ours come and go', async () => {
    const before = tf.memory();
    for (const engine of engines) {
      const backend = await start(engine);
      const first = await ours(backend);
      backend.upload(data, 'f32');
      await backend.dispose();
      expectClose(first, expected);
      expectClose(theirs(x), expected);
      expect(tf.getBackend()).toBe(own);
      expect(tf.memory()).toEqual(before);
    }
  });
});
