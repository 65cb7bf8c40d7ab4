import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  byteLengthOf,
  decodeArray,
  decodeRows,
  dynamicMap,
  fourBitBlockSizes,
  fourBitCodes,
  quantize4bit,
  readFourBitHeader,
  type FourBitFormat,
  type FourBitOptions,
} from '../../src/blocks/index.ts';
import { RandomStream } from '../../src/random/random-stream.ts';

const { fround } = Math;
const formats = ['nf4', 'fp4'] as const;
const normal = new RandomStream(7, 'four-bit').normal(1024 * 1024);

/** Code of element i. */
const codeAt = (data: Uint8Array, i: number): number => (data[16 + (i >> 1)]! >> (i % 2 === 0 ? 4 : 0)) & 15;

/** By the published rule, fifteen comparisons a value: how many midpoints of neighbours are strictly below it. */
function codesOf(values: Float32Array, format: FourBitFormat, blockSize: number): number[] {
  const table = [...fourBitCodes[format].values];
  // Of fp4's two zeros the one with the lower code comes first: sorting is stable.
  const order = [...table.keys()].toSorted((a, b) => table[a]! - table[b]!);
  const ascending = order.map((code) => table[code]!);
  return [...values].map((x, i) => {
    const start = i - (i % blockSize);
    const absmax = values
      .subarray(start, start + blockSize)
      .reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const v = fround(x * fround(1 / absmax));
    let rank = 0;
    if (Number.isNaN(v)) return table.indexOf(0);
    while (rank + 1 < ascending.length && fround((ascending[rank]! + ascending[rank + 1]!) / 2) < v) rank++;
    return order[rank]!;
  });
}

test('the dynamic map is that of bitsandbytes to the bit', () => {
  // Of the 256 little-endian f32 that bitsandbytes 0.50.2 makes.
  expect(createHash('sha256').update(new Uint8Array(dynamicMap().buffer)).digest('hex')).toBe(
    'e732639a65f497b4ad684bb166a4467708255edd5207757de8b8f0c7e1fda89c',
  );
});

describe.each(formats)('%s', (format) => {
  const options = fc.record({
    format: fc.constant(format),
    blockSize: fc.constantFrom(...fourBitBlockSizes),
    doubleQuantization: fc.boolean(),
  });
  const floats = fc.float32Array({ noNaN: true, noDefaultInfinity: true, maxLength: 700 });

  test('any values get the codes of the published rule', () => {
    fc.assert(
      fc.property(options, floats, (how, values) => {
        const { data } = quantize4bit(values, [values.length], how);
        expect(Array.from(values, (_, i) => codeAt(data, i))).toEqual(codesOf(values, format, how.blockSize));
      }),
      { numRuns: 200 },
    );
  });

  test('of two values as near, the lower one is taken', () => {
    const { midpoints, ascending } = fourBitCodes[format];
    // The block's absmax is 1, so v = x.
    const values = Float32Array.from([1, ...midpoints]);
    const { data } = quantize4bit(values, [values.length], { format });
    expect(Array.from(midpoints, (_, i) => codeAt(data, i + 1))).toEqual([...ascending.subarray(0, -1)]);
  });

  test('the value next above a midpoint gets the upper code', () => {
    const { midpoints, ascending } = fourBitCodes[format];
    const above = midpoints.slice();
    const bits = new Int32Array(above.buffer);
    for (let i = 0; i < bits.length; i++) bits[i]! += above[i]! >= 0 ? 1 : -1;
    const { data } = quantize4bit(Float32Array.from([1, ...above]), [above.length + 1], { format });
    expect(Array.from(above, (_, i) => codeAt(data, i + 1))).toEqual([...ascending.subarray(1)]);
  });

  test('decodes to code times scale, rounded once', () => {
    fc.assert(
      fc.property(options, floats, (how, values) => {
        const plain = quantize4bit(values, [values.length], { ...how, doubleQuantization: false });
        const decoded = decodeArray(plain);
        values.forEach((_, i) => {
          const start = i - (i % how.blockSize);
          const block = values.subarray(start, start + how.blockSize);
          const absmax = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          expect(decoded[i]).toBe(fround(fourBitCodes[format].values[codeAt(plain.data, i)]! * absmax));
        });
      }),
      { numRuns: 50 },
    );
  });

  test('decodes with scales that were quantized again, each step rounded once', () => {
    const blockSize = 32;
    const length = 32 * 700 + 5;
    const { data } = quantize4bit(normal.subarray(0, length), [length], { format, blockSize });
    const view = new DataView(data.buffer);
    const offset = view.getFloat32(8, true);
    const scalesAt = 16 + Math.ceil(Math.ceil(length / 2) / 4) * 4;
    const nestedAt = scalesAt + 704; // 701 scales
    const decoded = decodeArray({ format, shape: [length], data });
    for (let i = 0; i < length; i++) {
      const block = Math.floor(i / blockSize);
      const nested = view.getFloat32(nestedAt + 4 * (block >> 8), true);
      const scale = fround(fround(dynamicMap()[data[scalesAt + block]!]! * nested) + offset);
      expect(decoded[i]).toBe(fround(fourBitCodes[format].values[codeAt(data, i)]! * scale));
    }
  });

  test('rows decode as they do in the whole, wherever blocks end', () => {
    for (const [columns, blockSize] of [
      [43, 64],
      [576, 128],
      [1, 32],
      [33, 256],
    ] as const) {
      const array = quantize4bit(normal.subarray(0, 9 * columns), [9, columns], { format, blockSize });
      const whole = decodeArray(array);
      for (let start = 0; start < 9; start++) {
        for (let count = 0; start + count <= 9; count++) {
          expect(decodeRows(array, start, count)).toEqual(whole.subarray(start * columns, (start + count) * columns));
        }
      }
    }
  });

  test('blocks of zeros decode to zeros, whatever is around them', () => {
    for (const doubleQuantization of [false, true]) {
      const values = Float32Array.from({ length: 64 * 5 + 3 }, (_, i) => (i >= 64 && i < 192 ? 0 : normal[i]!));
      const decoded = decodeArray(quantize4bit(values, [values.length], { format, doubleQuantization }));
      expect(decoded.subarray(64, 192).every((value) => value === 0)).toBe(true);
      const zeros = decodeArray(quantize4bit(new Float32Array(77), [7, 11], { format, doubleQuantization }));
      expect(zeros).toEqual(new Float32Array(77));
    }
  });

  test('an odd length ends with the code of 0, and padding is 0', () => {
    const { data } = quantize4bit(Float32Array.of(1, 1, 1), [3], { format, doubleQuantization: false });
    expect(data.length).toBe(16 + 4 + 4);
    expect(data[17]! & 15).toBe(fourBitCodes[format].values.indexOf(0));
    expect([...data.subarray(18, 20)]).toEqual([0, 0]);
  });

  test('an array of nothing is a header', () => {
    const array = quantize4bit(new Float32Array(0), [0, 5], { format });
    expect(array.data.length).toBe(16);
    expect(decodeArray(array)).toEqual(new Float32Array(0));
  });

  test.each([NaN, Infinity, -Infinity])('%d is refused', (value) => {
    const values = Float32Array.of(1, 2, value, 4);
    expect(() => quantize4bit(values, [4], { format })).toThrow(
      expect.objectContaining({ code: 'CORE_NOT_FINITE', value }),
    );
  });

  // Mean |error| on N(0, 1), 1024 x 1024, in blocks of 32, 64, 128, 256, as bitsandbytes gives it.
  const expected = { nf4: [0.0677, 0.0728, 0.0768, 0.0803], fp4: [0.0889, 0.0965, 0.1029, 0.1087] }[format];
  test.each([false, true])('loses on normal numbers what it should (double quantization %s)', (doubleQuantization) => {
    fourBitBlockSizes.forEach((blockSize, row) => {
      const array = quantize4bit(normal, [1024, 1024], { format, blockSize, doubleQuantization });
      const decoded = decodeArray(array);
      let sum = 0;
      for (let i = 0; i < normal.length; i++) sum += Math.abs(decoded[i]! - normal[i]!);
      expect(Math.abs(sum / normal.length - expected[row]!)).toBeLessThan(5e-4);
    });
  });
});

test('takes 4.127 bits a weight in blocks of 64, 4.5 without double quantization', () => {
  const bits = (options: FourBitOptions): number => {
    const { data } = quantize4bit(normal, [1024, 1024], options);
    // The header is one for each array, whatever its size.
    return (8 * (data.length - 16)) / normal.length;
  };
  expect(bits({})).toBe(4 + 8 / 64 + 32 / (64 * 256));
  expect(bits({ doubleQuantization: false })).toBe(4.5);
});

test('the best of 256 entries is taken for each scale', () => {
  const length = 64 * 1000;
  const { data } = quantize4bit(normal.subarray(0, length), [length]);
  const { scalesAt, nestedAt, offset } = readFourBitHeader(data, length);
  const view = new DataView(data.buffer);
  for (let block = 0; block < 1000; block++) {
    const values = normal.subarray(64 * block, 64 * block + 64);
    const absmax = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const scaled = (absmax - offset) / view.getFloat32(nestedAt + 4 * (block >> 8), true);
    const errors = Array.from(dynamicMap(), (entry) => Math.abs(entry - scaled));
    // `scaled` here is exact where the codec rounds twice: 2^-23 at most.
    expect(errors[data[scalesAt + block]!]! - Math.min(...errors)).toBeLessThan(2 ** -22);
  }
});

test('wrong sizes, formats and values that do not fill the shape are refused', () => {
  const values = new Float32Array(64);
  expect(() => quantize4bit(values, [63])).toThrow(expect.objectContaining({ code: 'CORE_SHAPE' }));
  for (const wrong of [{ blockSize: 48 }, { blockSize: 512 }, { format: 'q4_0' }]) {
    expect(() => quantize4bit(values, [64], wrong as never)).toThrow(
      expect.objectContaining({ code: 'CORE_ARGUMENT' }),
    );
  }
});

describe('a payload', () => {
  const { data } = quantize4bit(normal.subarray(0, 640), [10, 64]);
  const damaged = (at: number, value: number): Uint8Array => {
    const copy = data.slice();
    new DataView(copy.buffer).setUint32(at, value, true);
    return copy;
  };
  const decode = (bytes: Uint8Array) => decodeArray({ format: 'nf4', shape: [10, 64], data: bytes });

  test('says its own length', () => {
    expect(byteLengthOf('nf4', [10, 64], data)).toBe(data.length);
    expect(byteLengthOf('nf4', [10, 64], data.subarray(0, 16))).toBe(data.length);
  });

  test('does not care where its bytes lie in memory', () => {
    const shifted = new Uint8Array(data.length + 3).subarray(3);
    shifted.set(data);
    expect(decode(shifted)).toEqual(decode(data));
  });

  test.each([
    ['a block size of 48', damaged(0, 48)],
    ['a block size of 0', damaged(0, 0)],
    ['double quantization 2', damaged(4, 2)],
    ['an offset that is NaN', damaged(8, 0x7fc00000)],
    ['something in the last word', damaged(12, 1)],
    ['an offset without double quantization', damaged(4, 0)],
    ['fewer than 16 bytes', data.subarray(0, 15)],
  ])('with %s is refused', (_, bytes) => {
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: 'CORE_FORMAT' }));
  });

  test('that is too short or too long is refused', () => {
    for (const bytes of [data.subarray(0, -1), Uint8Array.from([...data, 0]), damaged(0, 32)]) {
      expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: 'CORE_SHAPE' }));
    }
  });
});
