import {
  backward,
  type FrozenWeight,
  linear,
  RandomStream,
  sum,
  tensor,
  type ForwardPass,
  type HostState,
} from '@lowrank/core';
import { reference } from '@lowrank/conformance';
import { describe, expect, it } from 'vitest';
import { dora } from '@lowrank/adapter-dora';

const array = (shape: readonly number[], ...data: number[]) =>
  ({ format: 'f32', shape, data: Float32Array.from(data) }) as const;

const stateOf = (A: HostState['params'][string], B: HostState['params'][string], m: number[], norms: number[]) =>
  new Map([
    [
      'default',
      {
        params: { A, B, magnitude: array([m.length], ...m) },
        buffers: { weightNorm: array([norms.length], ...norms) },
      },
    ],
  ]);

/*
 * By hand: W = [[3, 4], [5, 12]] with row norms 5 and 13, b = [1, -1], s = 2 / 1, A = [[3, 4]], B = [[1/2], [-3/2]].
 * s B A = [[3, 4], [-9, -12]], so V' = [[6, 8], [-4, 0]] with norms 10 and 4; m = [20, 2] makes g = [2, 1/2].
 * x = [2, 1]: W x + b = [11, 21]; V' x = [20, -8]; y = b + g V' x = [41, -5].
 * For L = y0 + y1, the norms constant: dL/dm = V' x / norm = [2, -2]; dL/dB = g s A x = [40, 10];
 * dL/dA = s (g . B) x = 2 (1 - 3/4) x = [1, 1/2]; dL/dx = V'^T g = [10, 16].
 */
const weight = { values: [3, 4, 5, 12], shape: [2, 2] } as const;
const bias = [1, -1];
const [a, b] = [array([1, 2], 3, 4), array([2, 1], 0.5, -1.5)];
const trained = stateOf(a, b, [20, 2], [5, 13]);

describe('by hand', () => {
  it('is b + m / ||V’|| (V’ x), with the norm constant in backward', async () => {
    const backend = await reference();
    const layer = linear(backend, weight, bias);
    const wrapped = await dora.wrap(layer, { rank: 1, alpha: 2 });
    const input = tensor(backend, [2, 1], [2]);
    input.requiresGrad = true;
    expect([...(await wrapped.parameters().get('magnitude')!.data())]).toEqual([5, 13]);
    expect([...(await wrapped.forward(input).data())]).toEqual([11, 21]);
    wrapped.adapter.load(trained);
    expect([...(await wrapped.forward(input).data())]).toEqual([41, -5]);
    expect([...(await wrapped.delta(input).data())]).toEqual([30, -26]);
    backward(sum(wrapped.forward(input)));
    const gradients = [...wrapped.parameters()].map(async ([name, param]) => [name, [...(await param.grad!.data())]]);
    expect(await Promise.all(gradients)).toEqual([
      ['A', [1, 0.5]],
      ['B', [40, 10]],
      ['magnitude', [2, -2]],
    ]);
    expect([...(await input.grad!.data())]).toEqual([10, 16]);
    await wrapped.merge();
    expect((await (layer.weight as FrozenWeight).host()).data).toEqual(Float64Array.of(12, 16, -2, 0));
    expect([...(await wrapped.forward(input).data())]).toEqual([41, -5]);
    wrapped.eject();
    expect([...(await layer.forward(input).data())]).toEqual([11, 21]);
  });

  it('on an embedding scales columns: y = g o V’[id], V’ = W + s (B A)^T', async () => {
    const backend = await reference();
    const built = await dora.build(backend, {
      weight: { values: [3, 5, 4, 12], shape: [2, 2] },
      kind: 'embedding',
      rank: 1,
      alpha: 2,
    });
    const ids = tensor(backend, Int32Array.of(1, 0), [2]);
    expect([...(await built.forward(ids).data())]).toEqual([4, 12, 3, 5]);
    built.adapter.load(trained);
    expect([...(await built.forward(ids).data())]).toEqual([16, 0, 12, -2]);
    await built.merge();
    expect([...(await built.forward(ids).data())]).toEqual([16, 0, 12, -2]);
    built.dispose();
  });

  it('dora.delta is a plain function of tensors, of any rank', async () => {
    const backend = await reference();
    const given = {
      A: tensor(backend, [3, 4], [1, 2]),
      B: tensor(backend, [0.5, -1.5], [2, 1]),
      magnitude: tensor(backend, [20, 2], [2]),
      scale: 2,
    };
    const dense = { ...given, weight: tensor(backend, weight.values, [2, 2]) };
    const y = dora.delta(tensor(backend, [2, 1, 2, 1], [1, 2, 2]), dense);
    expect(y.shape).toEqual([1, 2, 2]);
    expect([...(await y.data())]).toEqual([30, -26, 30, -26]);
    const table = { ...given, weight: tensor(backend, [3, 5, 4, 12], [2, 2]) };
    const rows = dora.delta(tensor(backend, Int32Array.of(1), [1]), table);
    expect([...(await rows.data())]).toEqual([12, -12]);
    expect(() => dora.delta(tensor(backend, [2, 1], [2]), { ...dense, magnitude: given.A })).toThrow(
      expect.objectContaining({ code: 'CORE_SHAPE' }),
    );
  });
});

/** ||V'|| with V' formed, in float64; W by rows. */
function formedNorms(w: Float32Array, left: Float32Array, right: Float32Array, rank: number, scale: number): number[] {
  const columns = right.length / rank;
  return Array.from({ length: w.length / columns }, (_, row) => {
    let square = 0;
    for (let i = 0; i < columns; i++) {
      let moved = w[row * columns + i]!;
      for (let k = 0; k < rank; k++) moved += scale * left[row * rank + k]! * right[k * columns + i]!;
      square += moved * moved;
    }
    return Math.sqrt(square);
  });
}

function transposed(values: Float32Array, rows: number): Float32Array {
  const columns = values.length / rows;
  return values.map((_, at) => values[(at % rows) * columns + Math.floor(at / rows)]!);
}

describe('the norm without B A', () => {
  const [rank, scale] = [3, 2];
  const random = (name: string, length: number): Float32Array => new RandomStream(5, name).normal(length);

  it.each(['linear', 'embedding'] as const)('is that of V’ formed: %s', async (kind) => {
    // The vocabulary is more than two pieces of what is looked up at once.
    const [inFeatures, outFeatures] = kind === 'linear' ? [40, 17] : [2500, 3];
    const backend = await reference();
    const w = random('W', inFeatures * outFeatures); // by rows [out, in]
    const [left, right] = [random('B', outFeatures * rank), random('A', rank * inFeatures)];
    const values = kind === 'linear' ? w : transposed(w, outFeatures);
    const shape = kind === 'linear' ? ([outFeatures, inFeatures] as const) : ([inFeatures, outFeatures] as const);
    const built = await dora.build(backend, { weight: { values, shape }, kind, rank, alpha: rank * scale });
    const norms = formedNorms(w, new Float32Array(outFeatures * rank), right, rank, 0);
    const start = await built.parameters().get('magnitude')!.data();
    norms.forEach((norm, o) => expect(start[o]).toBe(Math.fround(norm)));
    built.adapter.load(stateOf(array([rank, inFeatures], ...right), array([outFeatures, rank], ...left), norms, norms));
    const x =
      kind === 'linear'
        ? tensor(backend, random('x', inFeatures), [inFeatures])
        : tensor(backend, Int32Array.of(2499), [1]);
    const [y, merged] = [await built.forward(x).data(), formedNorms(w, left, right, rank, scale)];
    const input = kind === 'linear' ? random('x', inFeatures) : new Float32Array(inFeatures).with(2499, 1);
    for (let o = 0; o < outFeatures; o++) {
      let [product, size] = [0, 0];
      for (let i = 0; i < inFeatures; i++) {
        let moved = w[o * inFeatures + i]!;
        for (let k = 0; k < rank; k++) moved += scale * left[o * rank + k]! * right[k * inFeatures + i]!;
        product += moved * input[i]!;
        size += Math.abs(moved * input[i]!);
      }
      // m and the kept ||W|| are f32: 2^-24 each. The second counts as much as ||W||^2 does in ||V'||^2, four times at most here.
      const gain = norms[o]! / merged[o]!;
      expect(norms[o]! ** 2 / merged[o]! ** 2).toBeLessThan(4);
      expect(Math.abs(y[o]! - gain * product)).toBeLessThan(5.01 * 2 ** -24 * gain * size);
    }
    built.dispose();
  });

  it('of a row of zeros does no harm: exact at the start, and finite when trained', async () => {
    const backend = await reference();
    const built = await dora.build(backend, { weight: { values: [0, 0, 3, 4], shape: [2, 2] }, rank: 1, alpha: 2 });
    const x = tensor(backend, [2, 1], [2]);
    expect([...(await built.forward(x).data())]).toEqual([0, 10]);
    built.adapter.load(stateOf(a, b, [0, 5], [0, 5]));
    // The second row becomes (3, 4) - 3 (3, 4) = (-6, -8), of norm 10, scaled back to 5.
    expect([...(await built.forward(x).data())]).toEqual([0, -10]);
    await built.merge();
    expect([...(await built.forward(x).data())]).toEqual([0, -10]);
    built.dispose();
  });
});

describe('dropout', () => {
  it('is PEFT’s: W x + b + (g - 1) W x~ + g s B A x~, with one mask', async () => {
    const backend = await reference();
    const wrapped = await dora.wrap(linear(backend, weight, bias), { rank: 1, alpha: 2, dropout: 0.5 });
    wrapped.adapter.load(trained);
    const masks = new Set<string>();
    for (let step = 0; step < 12; step++) {
      const pass: ForwardPass = { training: true, seed: 1, step };
      const x = tensor(backend, [2, 1], [2]);
      const [p, q] = (await wrapped.adapter.slots[0]!.context(pass).dropout(x, 0.5).data()) as Float64Array;
      masks.add(`${p} ${q}`);
      // g - 1 = [1, -1/2], g s B A = [[6, 8], [-9/2, -6]].
      const expected = [11 + (3 * p! + 4 * q!) + 6 * p! + 8 * q!, 21 - (5 * p! + 12 * q!) / 2 - 4.5 * p! - 6 * q!];
      expect([...(await wrapped.forward(x, pass).data())]).toEqual(expected);
    }
    // 12 draws out of four masks.
    expect(masks.size).toBeGreaterThan(1);
    wrapped.eject();
  });
});

describe('wrap and build', () => {
  it('say rank, alpha, scale, name and sizes', async () => {
    const backend = await reference();
    const options = { rank: 2, alpha: 3, name: 'mine' };
    const wrapped = await dora.wrap(linear(backend, weight), options);
    const built = await dora.build(backend, { weight, bias, ...options });
    for (const { rank, alpha, scale, name, inFeatures, outFeatures } of [wrapped, built]) {
      expect([rank, alpha, scale, name, inFeatures, outFeatures]).toEqual([2, 3, 1.5, 'mine', 2, 2]);
    }
    expect([...built.parameters()].map(([key, { shape }]) => [key, shape])).toEqual([
      ['A', [2, 2]],
      ['B', [2, 2]],
      ['magnitude', [2]],
    ]);
    for (const made of [wrapped, built]) made.eject();
    built.dispose();
  });

  it('refuse what is wrong by its path, and leave nothing behind', async () => {
    const backend = await reference();
    const { liveBytes } = backend.memory();
    await expect(dora.build(backend, { weight, bias, kind: 'embedding' })).rejects.toMatchObject({ path: 'bias' });
    await expect(dora.build(backend, { weight, rank: 0 })).rejects.toMatchObject({
      code: 'ADAPTER_CONFIG',
      path: 'rank',
      message: 'dora: rank is 0; give a whole number from 1 to 65536',
    });
    expect(backend.memory().liveBytes).toBe(liveBytes);
  });

  it('refuse to merge into another weight than the one they were made for', async () => {
    const backend = await reference();
    const layer = linear(backend, weight);
    const [one, two] = [
      await dora.wrap(layer, { rank: 1, name: 'one' }),
      await dora.wrap(layer, { rank: 1, name: 'two' }),
    ];
    one.adapter.load(new Map([['one', trained.get('default')!]]));
    await one.merge();
    await expect(two.merge()).rejects.toMatchObject({ code: 'ADAPTER_STATE', path: 'two' });
    one.unmerge();
    await two.merge();
    two.unmerge();
  });

  it('refuse to run on another weight than the one they were made for', async () => {
    const backend = await reference();
    const layer = linear(backend, weight);
    const under = await dora.wrap(layer, { rank: 1, name: 'under' });
    const input = tensor(backend, [2, 1], [2]);
    const before = [...(await layer.forward(input).data())];
    const over = await dora.wrap(layer, { rank: 1, name: 'over', init: 'pissa' });
    expect(() => layer.forward(input)).toThrow(expect.objectContaining({ code: 'ADAPTER_STATE', path: 'under' }));
    over.adapter.setActive(false);
    expect([...(await layer.forward(input).data())]).toEqual(before);
    await over.merge();
    expect(() => layer.forward(input)).toThrow(expect.objectContaining({ code: 'ADAPTER_STATE', path: 'under' }));
    over.eject();
    expect([...(await under.forward(input).data())]).toEqual(before);
  });
});
