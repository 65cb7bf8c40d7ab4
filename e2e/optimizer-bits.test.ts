import { cpu } from '@lowrank/backend-cpu';
import {
  Adam,
  AdamW,
  AdamW8bit,
  clipGradients,
  RandomStream,
  tensor,
  type Backend,
  type Optimizer,
  type OptimizerState,
  type ParameterGroup,
} from '@lowrank/core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { without } from './support/without-kernels.ts';

const SIZE = 1003;
const options = { learningRate: 1e-3, weightDecay: 0.05 };
const makers = {
  AdamW: (groups: ParameterGroup[]) => new AdamW(groups, options),
  Adam: (groups: ParameterGroup[]) => new Adam(groups, options),
  'AdamW with 8-bit state': (groups: ParameterGroup[]) => new AdamW8bit(groups, { ...options, minimumSize: 0 }),
} satisfies Record<string, (groups: ParameterGroup[]) => Optimizer>;

let native: Backend;
beforeAll(async () => {
  native = await cpu();
});
afterAll(() => native.dispose());

/** A parameter and an optimizer's state after some steps on a backend; another backend takes them up in the middle. */
async function trained(
  backends: readonly Backend[],
  make: (groups: ParameterGroup[]) => Optimizer,
): Promise<{ values: ArrayLike<number>; state: OptimizerState }> {
  const random = new RandomStream(3, 'optimizer bits');
  let values = random.normal(SIZE);
  let state: OptimizerState | undefined;
  for (const backend of backends) {
    const p = tensor(backend, values, [SIZE]);
    p.requiresGrad = true;
    const optimizer = make([{ params: new Map([['p', p]]) }]);
    if (state !== undefined) optimizer.load(state);
    for (let step = 0; step < 20 / backends.length; step++) {
      p.grad = tensor(backend, random.normal(SIZE, 0.01), [SIZE]);
      clipGradients([p], 0.2).dispose();
      optimizer.step(1e-3 / (1 + step));
    }
    values = (await p.data()) as Float32Array<ArrayBuffer>;
    state = await optimizer.state();
    optimizer.dispose();
    p.dispose();
  }
  return { values, state: state! };
}

test.each(Object.entries(makers))('%s composed of primitives gives the bits of the CPU kernel', async (_, make) => {
  expect(native.kernels.adamw).toBeDefined();
  expect(native.kernels.adamw8bit).toBeDefined();
  const composed = without(native, ['adamw', 'adamw8bit']);
  expect(await trained([composed], make)).toEqual(await trained([native], make));
});

test.each(Object.entries(makers))(
  '%s saved by the kernel goes on composed, and back, with the same bits',
  async (_, make) => {
    const composed = without(native, ['adamw', 'adamw8bit']);
    expect(await trained([native, composed], make)).toEqual(await trained([composed, native], make));
    expect(await trained([composed, native], make)).toEqual(await trained([native, native], make));
  },
);

test('8-bit state takes a quarter of the memory; composed, a third', () => {
  const size = 2 ** 18;
  const bytesOf = (backend: Backend, make: (groups: ParameterGroup[]) => Optimizer): number => {
    const p = tensor(backend, new Float32Array(size), [size]);
    p.requiresGrad = true;
    const before = backend.memory().liveBytes;
    const optimizer = make([{ params: new Map([['p', p]]) }]);
    const bytes = backend.memory().liveBytes - before;
    optimizer.dispose();
    expect(backend.memory().liveBytes).toBe(before);
    p.dispose();
    return bytes;
  };
  const plain = bytesOf(native, makers.AdamW);
  expect(plain).toBe(8 * size);
  // A byte for each code, four for each scale of 256, and for each of the two moments the map with its midpoints.
  const maps = 2 * 4 * (256 + 255);
  const kernel = bytesOf(native, makers['AdamW with 8-bit state']);
  expect(kernel).toBe(2 * size + (2 * 4 * size) / 256 + maps);
  expect(kernel / plain).toBeLessThan(0.257);
  // Three codes to a word of four bytes.
  const composed = bytesOf(without(native, ['adamw8bit']), makers['AdamW with 8-bit state']);
  expect(composed).toBe(2 * 4 * Math.ceil(size / 3) + (2 * 4 * size) / 256 + maps);
  expect(composed / plain).toBeLessThan(0.34);
});
