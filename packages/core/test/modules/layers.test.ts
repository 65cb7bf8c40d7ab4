import { countingBackend, reference } from '@lowrank/conformance';
import {
  backward,
  decodeArray,
  Embedding,
  encodeArray,
  FrozenWeight,
  Linear,
  linear,
  matmul,
  mul,
  scope,
  sum,
  tensor,
  type Backend,
  type HostArray,
  type Tensor,
} from '@lowrank/core';
import { describe, expect, test } from 'vitest';
import { valuesOf } from '../support/gradient-check.ts';

const OUT = 3;
const IN = 64;
const dense: HostArray = {
  format: 'f32',
  shape: [OUT, IN],
  data: Float32Array.from(valuesOf({ shape: [OUT, IN] }, 'weight')),
};
const coded = (code: string): unknown => expect.objectContaining({ name: 'CoreError', code });

/** Where a weight can live: as f32, as blocks that the backend knows, as blocks that it does not. */
const placements: { name: string; format: 'f32' | 'q8_0'; make: () => Promise<Backend> }[] = [
  { name: 'dense', format: 'f32', make: () => reference() },
  { name: 'q8_0 blocks on the backend', format: 'q8_0', make: () => reference() },
  { name: 'q8_0 blocks on the host', format: 'q8_0', make: () => reference({ blockFormats: [] }) },
  { name: 'q8_0 blocks, composed', format: 'q8_0', make: () => reference({ fused: false }) },
];

describe('a frozen weight', () => {
  for (const { name, format, make } of placements) {
    const array = format === 'f32' ? dense : encodeArray(dense.data as Float32Array, dense.shape, format);
    const decoded = decodeArray(array);

    test(`gives x W^T and, backward, dy W: ${name}`, async () => {
      const backend = await make();
      const weight = new FrozenWeight(backend, array);
      const x = tensor(backend, valuesOf({ shape: [2, 2, IN] }, 'x'), [2, 2, IN]);
      x.requiresGrad = true;
      const seed = tensor(backend, valuesOf({ shape: [2, 2, OUT] }, 'dy'), [2, 2, OUT]);
      const y = scope(() => weight.product(x));
      expect(y.shape).toEqual([2, 2, OUT]);
      const plain = tensor(backend, Float64Array.from(decoded), [OUT, IN]);
      const expected = await scope(() => matmul(x.detach(), plain, { transposeB: true })).data();
      (await y.data()).forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-12));
      backward(y, seed);
      const gradient = await scope(() => matmul(seed, plain)).data();
      (await x.grad!.data()).forEach((value, i) => expect(Math.abs(value - gradient[i]!)).toBeLessThan(1e-12));
    });

    test(`gives rows by number, and its bytes back: ${name}`, async () => {
      const backend = await make();
      const weight = new FrozenWeight(backend, array);
      const rows = weight.rows(tensor(backend, Int32Array.of(2, 0), [2, 1]));
      expect(rows.shape).toEqual([2, 1, IN]);
      expect(Array.from(await rows.data())).toEqual([...decoded.slice(2 * IN), ...decoded.slice(0, IN)]);
      const back = await weight.host();
      expect(back.format).toBe(format);
      expect(Array.from(back.data)).toEqual(Array.from(array.data));
      rows.dispose();
      weight.dispose();
      weight.dispose();
      expect(() => weight.product(rows)).toThrow(coded('CORE_DISPOSED'));
    });

    test(`costs one product forward and one backward, and no memory for gradients: ${name}`, async () => {
      const backend = countingBackend(await make());
      const weight = new FrozenWeight(backend, array);
      const [x, scaleOf] = [
        tensor(backend, new Float64Array(4 * IN), [4, IN]),
        tensor(backend, new Float64Array(IN), [IN]),
      ];
      scaleOf.requiresGrad = true;
      const before = backend.memory().liveBytes;
      backend.resetCounts();
      const loss = scope(() => sum(weight.product(mul(x, scaleOf))));
      // x is kept for the factor's gradient without a copy: only the loss is new.
      expect(backend.memory().liveBytes - before).toBe(8);
      backward(loss);
      const { byKernel, calls } = backend.counts();
      expect((byKernel.get('matmul') ?? 0) + (byKernel.get('matmulQuantized') ?? 0)).toBe(2);
      // Nothing of the weight's size comes out of any kernel.
      expect(calls.flatMap(({ results }) => results)).not.toContain(OUT * IN);
    });
  }

  test('is refused where it is no matrix of numbers, and does not mix backends', async () => {
    const backend = await reference();
    expect(() => new FrozenWeight(backend, { format: 'f32', shape: [6], data: new Float32Array(6) })).toThrow(
      coded('CORE_SHAPE'),
    );
    expect(() => new FrozenWeight(backend, { format: 'i32', shape: [2, 3], data: new Int32Array(6) })).toThrow(
      coded('CORE_DTYPE'),
    );
    expect(() => new FrozenWeight(backend, { format: 'f32', shape: [2, 3], data: new Float32Array(5) })).toThrow(
      coded('CORE_SHAPE'),
    );
    const weight = new FrozenWeight(backend, dense);
    expect(() => weight.product(tensor(backend, [1, 2], [1, 2]))).toThrow(coded('CORE_SHAPE'));
    const other = await reference();
    expect(() => weight.product(tensor(other, new Float64Array(IN), [1, IN]))).toThrow(coded('CORE_MIXED_BACKENDS'));
  });
});

describe('layers', () => {
  test('linear takes any number of axes and adds its bias', async () => {
    const backend = await reference();
    const layer = linear(backend, { values: [1, 2, 3, 4], shape: [2, 2] }, [10, 20]);
    const outputs: Tensor[] = [[2], [1, 2], [1, 1, 2]].map((shape) => layer.forward(tensor(backend, [1, -1], shape)));
    expect(outputs.map(({ shape }) => shape)).toEqual([[2], [1, 2], [1, 1, 2]]);
    for (const y of outputs) expect(Array.from(await y.data())).toEqual([9, 19]);
  });

  test('linear with a trainable weight gives it a gradient', async () => {
    const backend = await reference();
    const weight = tensor(backend, [1, 2, 3, 4], [2, 2]);
    weight.requiresGrad = true;
    const layer = new Linear(weight);
    for (const shape of [[2], [1, 2]]) {
      weight.grad = undefined;
      backward(sum(layer.forward(tensor(backend, [5, 7], shape))));
      expect(Array.from(await weight.grad!.data())).toEqual([5, 7, 5, 7]);
    }
  });

  test('an embedding looks rows up, frozen or trained', async () => {
    const backend = await reference();
    const table = { format: 'f32', shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) } as const;
    const ids = tensor(backend, Int32Array.of(1, 1), [2]);
    expect(Array.from(await new Embedding(new FrozenWeight(backend, table)).forward(ids).data())).toEqual([
      3, 4, 5, 3, 4, 5,
    ]);
    const weight = tensor(backend, table.data, table.shape);
    weight.requiresGrad = true;
    backward(sum(new Embedding(weight).forward(ids)));
    expect(Array.from(await weight.grad!.data())).toEqual([0, 0, 0, 2, 2, 2]);
  });

  test('a bias of another size is refused', async () => {
    const backend = await reference();
    expect(() => linear(backend, { values: [1, 2], shape: [1, 2] }, [1, 2])).toThrow(coded('CORE_SHAPE'));
  });
});
