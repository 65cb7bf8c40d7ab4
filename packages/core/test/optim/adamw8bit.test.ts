import {
  AdamW,
  AdamW8bit,
  dynamicMap,
  tensor,
  unsignedDynamicMap,
  type AdamW8bitOptions,
  type Backend,
  type Tensor,
} from '@lowrank/core';
import { describe, expect, test } from 'vitest';
import { bothWays } from '../support/backends.ts';
import { valuesOf } from '../support/gradient-check.ts';

/** Two full blocks and a part of one. */
const SIZE = 600;
const STEPS = 12;
const start = valuesOf({ shape: [SIZE] }, 'parameter');
/** Sizes differ by powers of ten, some are zero. */
const gradientAt = (step: number): Float64Array =>
  valuesOf({ shape: [SIZE] }, `gradient ${step}`).map((value, i) => (i % 11 === 3 ? 0 : value * 10 ** -(i % 5)));

async function parameterOn(backend: Backend, values: Float64Array = start): Promise<Tensor> {
  const p = tensor(backend, values, [values.length]);
  p.requiresGrad = true;
  return p;
}

function make(p: Tensor, options: Partial<AdamW8bitOptions> = {}): AdamW8bit {
  return new AdamW8bit([{ params: new Map([['p', p]]) }], {
    learningRate: 0.01,
    weightDecay: 0.05,
    minimumSize: 0,
    ...options,
  });
}

function stepOnce(optimizer: AdamW8bit | AdamW, p: Tensor, step: number): void {
  p.grad = tensor(p.backend, gradientAt(step), [SIZE]);
  optimizer.step();
}

/** The nearest of a map's numbers to x / absmax, by looking at all of them. */
function nearest(map: Float32Array, x: number, absmax: number): number {
  let best = 0;
  map.forEach((value, code) => {
    if (Math.abs(value - x / absmax) < Math.abs(map[best]! - x / absmax)) best = code;
  });
  return best;
}

/** The algorithm of the paper for all parameters, in float64: dequantize, Adam's step, quantize. */
function published(): Float64Array {
  const p = Float64Array.from(start);
  const [m, v] = [new Float64Array(SIZE), new Float64Array(SIZE)];
  for (let step = 0; step < STEPS; step++) {
    const g = gradientAt(step);
    for (let i = 0; i < SIZE; i++) {
      m[i] = 0.9 * m[i]! + 0.1 * g[i]!;
      v[i] = 0.999 * v[i]! + 0.001 * g[i]! ** 2;
      const update = m[i]! / (1 - 0.9 ** (step + 1)) / (Math.sqrt(v[i]! / (1 - 0.999 ** (step + 1))) + 1e-8);
      p[i] = p[i]! * (1 - 0.01 * 0.05) - 0.01 * update;
    }
    for (const [moment, map, least] of [
      [m, dynamicMap(), 0],
      [v, unsignedDynamicMap(), 1],
    ] as const) {
      for (let block = 0; block < SIZE; block += 256) {
        const absmax = moment.subarray(block, block + 256).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        for (let i = block; i < Math.min(SIZE, block + 256); i++) {
          const code = nearest(map, moment[i]!, absmax);
          moment[i] = map[moment[i]! > 0 ? Math.max(code, least) : code]! * absmax;
        }
      }
    }
  }
  return p;
}

for (const { name: way, make: makeBackend } of bothWays) {
  describe(`AdamW with 8-bit state, ${way}`, () => {
    test('follows the published algorithm', async () => {
      const p = await parameterOn(await makeBackend());
      const optimizer = make(p);
      for (let step = 0; step < STEPS; step++) stepOnce(optimizer, p, step);
      const [found, expected] = [await p.data(), published()];
      // Float64's roundings: none of these numbers lies so near a midpoint that one would change a code.
      expected.forEach((value, i) => expect(Math.abs(found[i]! - value), `[${i}]`).toBeLessThan(1e-12));
    });

    test('goes on from its saved state with the same bits', async () => {
      const results: number[][] = [];
      for (const interrupted of [false, true]) {
        let p = await parameterOn(await makeBackend());
        let optimizer = make(p);
        for (let step = 0; step < STEPS; step++) {
          if (interrupted && step === 5) {
            const state = await optimizer.state();
            p = await parameterOn(await makeBackend(), Float64Array.from(await p.data()));
            optimizer = make(p);
            optimizer.load(state);
          }
          stepOnce(optimizer, p, step);
        }
        results.push(Array.from(await p.data()));
      }
      expect(results[1]).toEqual(results[0]);
    });

    test('a state that was loaded has nothing behind its last element', async () => {
      const scales: unknown[] = [];
      for (const interrupted of [false, true]) {
        const backend = await makeBackend();
        const p = await parameterOn(backend);
        let optimizer = make(p);
        stepOnce(optimizer, p, 0);
        if (interrupted) {
          const state = await optimizer.state();
          optimizer = make(p);
          optimizer.load(state);
        }
        // Brings the first moment to almost nothing: what might lie behind the last element would be the largest.
        p.grad = tensor(
          backend,
          gradientAt(0).map((value) => -0.9 * value),
          [SIZE],
        );
        optimizer.step();
        scales.push((await optimizer.state()).arrays.get('firstAbsmax/p'));
      }
      expect(scales[1]).toEqual(scales[0]);
    });

    test('leaves no memory behind', async () => {
      const p = await parameterOn(await makeBackend());
      const optimizer = make(p);
      const live = p.backend.memory().liveBytes;
      stepOnce(optimizer, p, 0);
      optimizer.zeroGrad();
      expect(p.backend.memory().liveBytes).toBe(live);
      optimizer.dispose();
      expect(p.backend.memory().liveStorages).toBe(1);
    });

    test('keeps small parameters in f32, with the bits of AdamW', async () => {
      const backend = await makeBackend();
      const [p, q] = [await parameterOn(backend), await parameterOn(backend)];
      const optimizer = make(p, { minimumSize: SIZE + 1 });
      const plain = new AdamW([{ params: new Map([['q', q]]) }], { learningRate: 0.01, weightDecay: 0.05 });
      for (let step = 0; step < 3; step++) {
        stepOnce(optimizer, p, step);
        stepOnce(plain, q, step);
      }
      expect(await p.data()).toEqual(await q.data());
      expect([...(await optimizer.state()).arrays.keys()]).toEqual(['firstMoment/p', 'secondMoment/p']);
    });
  });
}

test('fused and composed steps save the same state, and go on from each other’s', async () => {
  const [fused, composed] = await Promise.all(bothWays.map(async ({ make: backend }) => parameterOn(await backend())));
  const [one, other] = [make(fused!), make(composed!)];
  for (let step = 0; step < 4; step++) {
    stepOnce(one, fused!, step);
    stepOnce(other, composed!, step);
  }
  const [first, second] = [await one.state(), await other.state()];
  expect([...first.arrays.keys()]).toEqual(['firstCodes/p', 'firstAbsmax/p', 'secondCodes/p', 'secondAbsmax/p']);
  expect(first.arrays.get('firstCodes/p')).toMatchObject({ format: 'i32', shape: [SIZE / 4] });
  for (const name of ['firstCodes/p', 'secondCodes/p']) {
    expect(second.arrays.get(name)!.data).toEqual(first.arrays.get(name)!.data);
  }
  other.load(first);
  expect(await other.state()).toEqual(first);
});

test('a parameter whose gradients are far below its block’s largest takes steps like AdamW’s', async () => {
  const size = 256;
  // 10,000 times smaller: squared, below what the map can tell from zero.
  const gradient = new Float64Array(size).fill(1e-5);
  gradient[0] = 0.1;
  const moved: number[] = [];
  for (const Optimizer of [AdamW8bit, AdamW]) {
    const p = await parameterOn(await bothWays[0]!.make(), new Float64Array(size));
    const optimizer = new Optimizer([{ params: new Map([['p', p]]) }], {
      learningRate: 0.01,
      weightDecay: 0,
      ...(Optimizer === AdamW8bit ? { minimumSize: 0 } : {}),
    });
    for (let step = 0; step < 20; step++) {
      // The small ones fall silent: what is left is the first moment, to be divided by the second.
      p.grad = tensor(p.backend, step < 10 ? gradient : gradient.map((value, i) => (i === 0 ? value : 0)), [size]);
      optimizer.step();
    }
    moved.push(Math.abs((await p.data())[100]!));
  }
  expect(moved[1]).toBeGreaterThan(0);
  expect(moved[0]).toBeLessThan(moved[1]!);
});

test('refuses a state of another size or kind, and a minimum that is none', async () => {
  const p = await parameterOn(await bothWays[0]!.make());
  const optimizer = make(p);
  const { arrays } = await optimizer.state();
  const codes = { format: 'i32', shape: [1], data: new Int32Array(1) } as const;
  const wrong = new Map(arrays).set('firstCodes/p', codes);
  expect(() => optimizer.load({ step: 1, arrays: wrong })).toThrow(
    expect.objectContaining({ code: 'CORE_STATE', message: expect.stringContaining('[150] is needed') as string }),
  );
  const floats = new Map(arrays).set('firstCodes/p', { format: 'f32', shape: [150], data: new Float32Array(150) });
  expect(() => optimizer.load({ step: 1, arrays: floats })).toThrow(expect.objectContaining({ code: 'CORE_STATE' }));
  expect(() => make(p, { minimumSize: 0.5 })).toThrow(expect.objectContaining({ code: 'CORE_ARGUMENT' }));
});
