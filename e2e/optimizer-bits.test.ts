import { cpu } from '@lowrank/backend-cpu';
import { tfjs } from '@lowrank/backend-tfjs';
import { webgpu } from '@lowrank/backend-webgpu';
import { withoutKernels } from '@lowrank/conformance';
import {
  Adam,
  AdamW,
  AdamW8bit,
  clippingScale,
  RandomStream,
  tensor,
  type Backend,
  type Optimizer,
  type OptimizerState,
  type ParameterGroup,
} from '@lowrank/core';
import { afterAll, beforeAll, expect, test } from 'vitest';

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
    for (let step = 0; step < Math.ceil(20 / backends.length); step++) {
      p.grad = tensor(backend, random.normal(SIZE, 0.01), [SIZE]);
      const { norm, gradientScale } = clippingScale([p], 0.2, 0.3);
      optimizer.step(1e-3 / (1 + step), gradientScale);
      norm.dispose();
      gradientScale.dispose();
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
  const composed = withoutKernels(native, ['adamw', 'adamw8bit', 'sumOfSquares']);
  expect(await trained([composed], make)).toEqual(await trained([native], make));
});

test.each(Object.entries(makers))(
  '%s saved by the kernel goes on composed, and back, with the same bits',
  async (_, make) => {
    const composed = withoutKernels(native, ['adamw', 'adamw8bit']);
    expect(await trained([native, composed], make)).toEqual(await trained([composed, native], make));
    expect(await trained([composed, native], make)).toEqual(await trained([native, native], make));
  },
);

// A quotient may be some units in the last place off on a GPU, and so a code by one where a moment is next to a midpoint: that
// changes the element's next steps by a few percent of the learning rate.
test.each([
  ['webgpu', () => webgpu()],
  ['tfjs:wasm', () => tfjs({ engine: 'wasm' })],
  ['tfjs:cpu', () => tfjs({ engine: 'cpu' })],
] as const)('a run with 8-bit state goes from the CPU to %s and back as if it had stayed', async (_, open) => {
  const other = await open();
  const make = makers['AdamW with 8-bit state'];
  const [moved, stayed] = [await trained([native, other, native], make), await trained([native, native, native], make)];
  await other.dispose();
  const apart = Array.from(moved.values, (value, i) => Math.abs(value - stayed.values[i]!));
  expect(Math.max(...apart)).toBeLessThan(0.1 * options.learningRate);
  for (const name of ['firstCodes/p', 'secondCodes/p']) {
    const [found, expected] = [moved, stayed].map(({ state }) => new Uint8Array(state.arrays.get(name)!.data.buffer));
    const off = Array.from(found!, (code, i) => Math.abs(code - expected![i]!));
    expect(Math.max(...off)).toBeLessThanOrEqual(1);
    expect(off.filter((by) => by > 0).length).toBeLessThan(SIZE / 100);
  }
});

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
  // A byte for each code, four for each scale of 256, and for each of the two moments its map.
  const maps = 2 * 4 * 256;
  const kernel = bytesOf(native, makers['AdamW with 8-bit state']);
  expect(kernel).toBe(2 * size + (2 * 4 * size) / 256 + maps);
  expect(kernel / plain).toBeLessThan(0.257);
  // Three codes to a word of four bytes, and the midpoints of the maps.
  const composed = bytesOf(withoutKernels(native, ['adamw8bit']), makers['AdamW with 8-bit state']);
  expect(composed).toBe(2 * 4 * Math.ceil(size / 3) + (2 * 4 * size) / 256 + maps + 2 * 4 * 255);
  expect(composed / plain).toBeLessThan(0.34);
});
