/** PiSSA and OLoRA against PEFT: what they take out of the weight, and what they leave. */
import { lora } from '@lowrank/adapter-lora';
import { reference } from '@lowrank/conformance';
import { linear, truncatedSvd, type FrozenWeight } from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { fixtureJson, fixtureTensors, floatsOf, tensorOf } from './support/fixtures.ts';

const { rank, alpha } = fixtureJson('inits') as { rank: number; alpha: number };
const tensors = fixtureTensors('inits');
const shapes = [
  [20, 24],
  [24, 20],
  [16, 16],
] as const;

/** Some roundings to f32 of numbers up to the largest. */
function demandNear(got: ArrayLike<number>, expected: ArrayLike<number>, roundings: number): void {
  expect(got.length).toBe(expected.length);
  const largest = Math.max(...Array.from(expected, Math.abs));
  for (let i = 0; i < expected.length; i++) {
    expect(Math.abs(got[i]! - expected[i]!), String(i)).toBeLessThanOrEqual(roundings * 2 ** -24 * largest);
  }
}

function product(a: ArrayLike<number>, b: ArrayLike<number>, rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: rows * columns }, (_, at) => {
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += b[Math.floor(at / columns) * rank + k]! * a[k * columns + (at % columns)]!;
    return sum;
  });
}

describe.each(shapes)('a weight [%i, %i]', (rows, columns) => {
  const shape = `${rows}x${columns}`;
  const weight = floatsOf(tensors, `weight-${shape}`);

  it('has the singular values that torch finds in float64', () => {
    const most = Math.min(rows, columns);
    const { values } = truncatedSvd(weight, rows, columns, most);
    const expected = tensorOf(tensors, `singular-${shape}`).data;
    for (let k = 0; k < most; k++) expect(Math.abs(values[k]! - expected[k]!)).toBeLessThan(1e-13 * expected[0]!);
  });

  it.each([
    ['pissa', false],
    ['pissa', true],
    ['olora', false],
    ['olora', true],
  ] as const)('starts as PEFT’s %s, rsLoRA %s', async (init, useRslora) => {
    const key = `${init}${useRslora ? '-rs' : ''}-${shape}`;
    const backend = await reference();
    const layer = linear(backend, { values: weight, shape: [rows, columns] });
    const wrapped = await lora.wrap(layer, { rank, alpha, init, useRslora });
    expect(wrapped.scale).toBeCloseTo(tensorOf(tensors, `${key}.scale`).data[0]!, 14);
    const [A, B] = [await wrapped.parameters().get('A')!.data(), await wrapped.parameters().get('B')!.data()];
    const [theirA, theirB] = [floatsOf(tensors, `${key}.A`), floatsOf(tensors, `${key}.B`)];
    // torch decomposes in f32: some dozens of roundings.
    demandNear(product(A, B, rows, columns), product(theirA, theirB, rows, columns), 64);
    demandNear((await (layer.weight as FrozenWeight).host()).data, floatsOf(tensors, `${key}.residual`), 64);
    if (init === 'olora') {
      demandNear(A, theirA, 64);
      demandNear(B, theirB, 64);
    }
    wrapped.eject();
    expect((await (layer.weight as FrozenWeight).host()).data).toEqual(Float64Array.from(weight));
  });
});
