/** NF4, FP4 and double quantization against bitsandbytes' CPU path. */
import {
  decodeArray,
  dynamicMap,
  quantize4bit,
  RandomStream,
  readFourBitHeader,
  unsignedDynamicMap,
  type FourBitBlockSize,
  type FourBitFormat,
} from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { fixtureJson, fixtureTensors, floatsOf, tensorOf, under, type FixtureTensors } from './support/fixtures.ts';

const fixtures = fixtureTensors('four-bit');
const { cases, meanErrors } = fixtureJson('four-bit') as {
  cases: Record<string, { 'nested codes'?: number; 'nested codes unlike the exact ones'?: number }>;
  meanErrors: Record<string, number>;
};

interface Subject {
  readonly name: string;
  readonly format: FourBitFormat;
  readonly blockSize: FourBitBlockSize;
  readonly weights: Float32Array;
  readonly theirs: FixtureTensors;
  readonly doubled: boolean;
}

const subjects: readonly Subject[] = Object.entries(cases).map(([name, about]) => {
  const [format, blockSize, weights] = name.split('-') as [FourBitFormat, string, string];
  return {
    name,
    format,
    blockSize: Number(blockSize) as FourBitBlockSize,
    weights: floatsOf(fixtures, `weights.${weights}`),
    theirs: under(fixtures, name),
    doubled: about['nested codes'] !== undefined,
  };
});

interface Parts {
  readonly codes: Uint8Array;
  readonly offset: number;
  /** Empty with double quantization, as the others are without. */
  readonly absmax: Float32Array;
  readonly nestedCodes: Uint8Array;
  readonly nested: Float32Array;
}

/** The parts of a payload, by the layout that core's documentation gives. */
function partsOf(data: Uint8Array, elements: number): Parts {
  const { blocks, scalesAt, nestedAt, doubleQuantization, offset } = readFourBitHeader(data, elements);
  const floats = (start: number, count: number): Float32Array =>
    new Float32Array(data.slice(start, start + 4 * count).buffer);
  return {
    codes: data.subarray(16, 16 + Math.ceil(elements / 2)),
    offset,
    absmax: floats(scalesAt, doubleQuantization ? 0 : blocks),
    nestedCodes: data.subarray(scalesAt, scalesAt + (doubleQuantization ? blocks : 0)),
    nested: floats(nestedAt, doubleQuantization ? Math.ceil(blocks / 256) : 0),
  };
}

function quantized({ format, blockSize, weights }: Subject, doubleQuantization: boolean) {
  return quantize4bit(weights, [weights.length], { format, blockSize, doubleQuantization });
}

it('the maps are bitsandbytes’, bit for bit', () => {
  expect(dynamicMap()).toEqual(floatsOf(fixtures, 'map.dynamic'));
  expect(unsignedDynamicMap()).toEqual(floatsOf(fixtures, 'map.dynamic.unsigned'));
});

it.each(subjects)('$name: codes to the byte, absmax to the bit', (subject) => {
  const { codes, absmax } = partsOf(quantized(subject, false).data, subject.weights.length);
  expect(Buffer.compare(codes, tensorOf(subject.theirs, 'codes').data as Uint8Array)).toBe(0);
  expect(absmax).toEqual(floatsOf(subject.theirs, 'absmax'));
});

describe.each(subjects.filter(({ doubled }) => doubled))('$name with double quantization', (subject) => {
  const { theirs, weights } = subject;
  const ours = quantized(subject, true);
  const { codes, nestedCodes, nested, offset } = partsOf(ours.data, weights.length);
  /** The exact algorithm's, where bitsandbytes' differ. */
  const exact = (name: string) => (theirs.get(`exact.nested.${name}`) ?? tensorOf(theirs, `nested.${name}`)).data;

  it('gives the exact algorithm’s codes to the byte, scales and offset to the bit', () => {
    expect(Buffer.compare(codes, tensorOf(theirs, 'codes').data as Uint8Array)).toBe(0);
    expect(offset).toBe(exact('offset')[0]);
    expect(nested).toEqual(exact('absmax'));
    expect(Buffer.compare(nestedCodes, exact('codes') as Uint8Array)).toBe(0);
  });

  it('gives bitsandbytes’ codes but for the few that its table of 65,536 bins puts one off', () => {
    const found = tensorOf(theirs, 'nested.codes').data;
    const off = Array.from(nestedCodes, (code, i) => Math.abs(code - found[i]!));
    expect(off.filter((by) => by !== 0)).toHaveLength(cases[subject.name]!['nested codes unlike the exact ones']!);
    expect(Math.max(...off)).toBeLessThanOrEqual(1);
    // Its sum is rounded to float32 along the way.
    expect(Math.abs(offset - (tensorOf(theirs, 'nested.offset').data[0] as number))).toBeLessThanOrEqual(
      offset * 2 ** -22,
    );
  });
});

it.each(subjects.filter(({ theirs }) => theirs.has('dequantized')))('$name: decodes to the same numbers', (subject) => {
  for (const [doubled, name] of [
    [false, 'dequantized'],
    [true, 'exact.nested.dequantized'],
  ] as const) {
    const expected = floatsOf(subject.theirs, name);
    const found = decodeArray(quantized(subject, doubled));
    // A zero may have another sign.
    expect(found.findIndex((value, i) => value !== expected[i])).toBe(-1);
  }
});

// Of 2^18 numbers, each with an error whose standard deviation is below 0.08: the mean is within 5e-4 by three of its own.
it.each(Object.entries(meanErrors))('%s: the mean error on N(0, 1) is bitsandbytes’ %f within 5e-4', (name, theirs) => {
  const [format, blockSize] = name.split('-') as [FourBitFormat, string];
  const values = new RandomStream(1, 'mean error').normal(2 ** 18);
  const options = { format, blockSize: Number(blockSize) as FourBitBlockSize, doubleQuantization: false };
  const decoded = decodeArray(quantize4bit(values, [values.length], options));
  const ours = decoded.reduce((sum, value, i) => sum + Math.abs(value - values[i]!), 0) / values.length;
  expect(Math.abs(ours - theirs)).toBeLessThan(5e-4);
});
