/** PiSSA and OLoRA against PEFT: what B A is, and what is left of the weight. */
import { lora } from '@lowrank/adapter-lora';
import { reference } from '@lowrank/conformance';
import { linear, type WrappedLowRank } from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { fixtureJson, fixtureTensors, floatsOf, greatestDifference, tensorOf, under } from './support/fixtures.ts';

const fixtures = fixtureTensors('inits');
const { rank, alpha } = fixtureJson('inits') as { rank: number; alpha: number };
const shapes = ['20x24', '24x20', '16x16'];
const cases = ['pissa', 'pissa-rs', 'olora', 'olora-rs'].flatMap((init) => shapes.map((shape) => ({ init, shape })));

/** s B A, in float64: [out, in]. */
function change(a: ArrayLike<number>, b: ArrayLike<number>, scale: number, rows: number, columns: number): number[] {
  return Array.from({ length: rows * columns }, (_, at) => {
    const [o, i] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += b[o * rank + k]! * a[k * columns + i]!;
    return scale * sum;
  });
}

async function wrapped(init: string, shape: string): Promise<WrappedLowRank> {
  const { shape: sizes } = tensorOf(fixtures, `weight-${shape}`);
  const weight = { format: 'f32', shape: sizes, data: floatsOf(fixtures, `weight-${shape}`) } as const;
  const [name, rs] = init.split('-');
  return lora.wrap(linear(await reference(), weight), {
    rank,
    alpha,
    useRslora: rs === 'rs',
    init: name as 'pissa' | 'olora' | 'orthogonal',
  });
}

describe.each(cases)('$init, $shape', ({ init, shape }) => {
  const theirs = under(fixtures, `${init}-${shape}`);
  const [rows, columns] = shape.split('x').map(Number) as [number, number];
  const weight = floatsOf(fixtures, `weight-${shape}`);
  const scale = tensorOf(theirs, 'scale').data[0] as number;
  const theirChange = change(floatsOf(theirs, 'A'), floatsOf(theirs, 'B'), scale, rows, columns);
  // PEFT decomposes in float32: a few units of 2^-24 of the largest singular value, which move a direction by as much over the
  // gap between its singular value and the next (Davis & Kahan 1970).
  const singular = tensorOf(fixtures, `singular-${shape}`).data as Float64Array;
  const gap = Math.min(...Array.from({ length: rank }, (_, k) => singular[k]! - singular[k + 1]!));
  const bound = 4 * 2 ** -24 * singular[0]! * Math.max(1, singular[0]! / gap);

  it('takes out of the weight what PEFT takes out', async () => {
    const layer = await wrapped(init, shape);
    expect(layer.scale).toBeCloseTo(scale, 14);
    const { A, B } = layer.adapter.slots[0]!.state.params;
    const [a, b] = [await A!.data(), await B!.data()];
    expect(greatestDifference(change(a, b, scale, rows, columns), theirChange)).toBeLessThan(bound);
    // Which is what the layer's weight lacks now.
    const { base } = layer.adapter.slots[0]!.state;
    const residual = await base!.values();
    expect(greatestDifference(residual, floatsOf(theirs, 'residual'))).toBeLessThan(bound);
    const whole = change(a, b, scale, rows, columns).map((value, i) => value + residual[i]!);
    expect(greatestDifference(whole, weight)).toBeLessThan(2 ** -22);
  });

  it('A and B are PEFT’s up to the sign of each direction', async () => {
    const { A, B } = (await wrapped(init, shape)).adapter.slots[0]!.state.params;
    const [a, b] = [await A!.data(), await B!.data()];
    const [theirA, theirB] = [floatsOf(theirs, 'A'), floatsOf(theirs, 'B')];
    for (let k = 0; k < rank; k++) {
      const row = (values: ArrayLike<number>): number[] =>
        Array.from({ length: columns }, (_, i) => values[k * columns + i]!);
      const column = (values: ArrayLike<number>): number[] =>
        Array.from({ length: rows }, (_, o) => values[o * rank + k]!);
      const sign = Math.sign(row(a).reduce((sum, value, i) => sum + value * row(theirA)[i]!, 0));
      expect(
        greatestDifference(
          row(a).map((value) => sign * value),
          row(theirA),
        ),
      ).toBeLessThan(bound);
      expect(
        greatestDifference(
          column(b).map((value) => sign * value),
          column(theirB),
        ),
      ).toBeLessThan(bound);
    }
  });
});

describe.each(shapes)('orthogonal, %s', (shape) => {
  const [rows, columns] = shape.split('x').map(Number) as [number, number];

  it('is random, and like PEFT’s: B A is zero, the rows of A have the same size', async () => {
    const { A, B } = (await wrapped('orthogonal', shape)).adapter.slots[0]!.state.params;
    const theirs = under(fixtures, `orthogonal-${shape}`);
    const [a, b] = [await A!.data(), await B!.data()];
    const [theirA, theirB] = [floatsOf(theirs, 'A'), floatsOf(theirs, 'B')];
    for (const [left, right] of [
      [a, b],
      [theirA, theirB],
    ] as const) {
      // Sums of four products of numbers below 0.4 that cancel.
      expect(Math.max(...change(left, right, 1, rows, columns).map(Math.abs))).toBeLessThan(4 * 2 ** -24);
    }
    // Each element is 0.1 times a unit vector's share of two normal numbers: its mean square is 0.01 * 2 / 4, known from
    // some 64 to 96 numbers, dependent in fours, within a factor of 2.
    const meanSquare = (values: ArrayLike<number>): number =>
      Array.from(values).reduce((sum, value) => sum + value ** 2, 0) / values.length;
    for (const values of [a, b, theirA, theirB]) {
      expect(meanSquare(values)).toBeGreaterThan(0.0025);
      expect(meanSquare(values)).toBeLessThan(0.01);
    }
  });
});
