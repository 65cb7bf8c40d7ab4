import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { blockFormats, byteLengthOf, decodeArray, decodeRows, encodeArray } from '../../src/blocks/index.ts';
import type { EncodableFormat, InlineBlockFormat } from '../../src/blocks/index.ts';
import type { HostArray } from '../../src/host/arrays.ts';

const formats = Object.keys(blockFormats) as InlineBlockFormat[];

/** Bytes that look like nothing in particular, the same each time. */
function noise(length: number): Uint8Array {
  let state = 12345;
  return Uint8Array.from({ length }, () => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) >>> 16);
}

describe.each(formats)('%s', (format) => {
  const shape = [3, 2, 256];
  const array: HostArray = { format, shape, data: noise(byteLengthOf(format, shape)) };

  test('any range of rows decodes as it does in the whole', () => {
    const whole = decodeArray(array);
    for (let start = 0; start <= 6; start++) {
      for (let count = 0; start + count <= 6; count++) {
        expect(decodeRows(array, start, count)).toEqual(whole.subarray(start * 256, (start + count) * 256));
      }
    }
  });

  test('decodes into a given array and leaves the rest of it alone', () => {
    const out = new Float32Array(300).fill(7);
    expect(decodeRows(array, 1, 1, out)).toBe(out);
    expect(out.subarray(0, 256)).toEqual(decodeRows(array, 1, 1));
    expect(out.subarray(256).every((value) => value === 7)).toBe(true);
  });

  test('does not care where its bytes lie in memory', () => {
    const data = array.data as Uint8Array;
    const shifted = new Uint8Array(data.length + 3).subarray(3);
    shifted.set(data);
    expect(decodeArray({ ...array, data: shifted })).toEqual(decodeArray(array));
  });

  test('data of another length is refused', () => {
    expect(() => decodeArray({ ...array, data: (array.data as Uint8Array).subarray(1) })).toThrow(
      expect.objectContaining({ code: 'CORE_SHAPE' }),
    );
  });
});

const encodable: EncodableFormat[] = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0', 'q4_1'];
const row = fc.array(fc.float({ noNaN: true, noDefaultInfinity: true, min: -1000, max: 1000 }), {
  minLength: 32,
  maxLength: 32,
});

describe('encodeArray', () => {
  // Error of one element, from the formats' definitions, with a = max|x| and span = max - min of its block:
  // f16: half an ulp, 2^-11 relative, or 2^-25 below the normal range; bf16: 2^-8 relative or 2^-134 (f32's subnormals).
  // q8_0: d = a/127, half a step, plus d's own rounding to f16 (2^-11 relative) times a code of at most 127.
  // q4_0: d = a/8; codes round to the nearest of -8..7, so a value near +8d is cut by up to one step.
  // q4_1: d = span/15, half a step; d's rounding times 15, and m's.
  // Scales below f16's normal range are off by up to 2^-25 and counted with the largest code.
  const bounds: Record<EncodableFormat, (x: number, a: number, span: number) => number> = {
    f32: () => 0,
    f16: (x) => Math.max(Math.abs(x) * 2 ** -11, 2 ** -25),
    bf16: (x) => Math.max(Math.abs(x) * 2 ** -8, 2 ** -134),
    q8_0: (_, a) => a / 254 + Math.max(a * 2 ** -11, 127 * 2 ** -25),
    q4_0: (_, a) => a / 8 + Math.max(a * 2 ** -11, 8 * 2 ** -25),
    q4_1: (_, a, span) => span / 30 + Math.max(span * 2 ** -11, 15 * 2 ** -25) + Math.max(a * 2 ** -11, 2 ** -25),
  };
  // Four float32 roundings on the way to a code, each 2^-24 of at most the block's range.
  const slack = (a: number): number => 8 * a * 2 ** -24;

  test.each(encodable)('%s decodes to within the error of its step', (format) => {
    fc.assert(
      fc.property(row, (numbers) => {
        const values = Float32Array.from(numbers);
        const decoded = decodeArray(encodeArray(values, [1, 32], format));
        const largest = Math.max(...values.map(Math.abs));
        const span = Math.max(...values) - Math.min(...values);
        values.forEach((value, i) => {
          expect(Math.abs((decoded[i] as number) - value)).toBeLessThanOrEqual(
            bounds[format](value, largest, span) + slack(largest + span),
          );
        });
      }),
    );
  });

  test('f16 decodes every bit pattern to its value, and encodes it back', () => {
    const patterns = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const decoded = decodeArray({ format: 'f16', shape: [65536], data: new Uint8Array(patterns.buffer) });
    const expected = Float32Array.from(patterns, (bits) => {
      const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
      if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
      return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
    });
    expect(decoded).toEqual(expected);
    const quiet = patterns.map((bits) => ((bits & 0x7fff) > 0x7c00 ? 0x7e00 : bits));
    const encoded = new Uint16Array((encodeArray(decoded, [65536], 'f16').data as Uint8Array<ArrayBuffer>).buffer);
    expect(encoded.map((bits) => ((bits & 0x7fff) > 0x7c00 ? 0x7e00 : bits))).toEqual(quiet);
  });

  test.each(['f16', 'bf16'] as const)('%s carries infinities and NaN', (format) => {
    const decoded = decodeArray(encodeArray(Float32Array.of(Infinity, -Infinity, NaN, -0), [4], format));
    expect([...decoded]).toEqual([Infinity, -Infinity, NaN, -0]);
  });

  test.each([
    ['f16', 65520],
    ['bf16', 3.4e38],
    ['f32', 1e39],
    ['q8_0', 127 * 65520],
    ['q4_0', 8 * 65520],
    ['q4_1', 15 * 65520],
    ['q4_1', -65520],
    ['q8_0', NaN],
    ['q4_0', -Infinity],
    ['q4_1', NaN],
  ] as const)('%s refuses %f rather than lose it', (format, value) => {
    const values = new Float64Array(32);
    values[7] = value;
    expect(() => encodeArray(values, [32], format)).toThrow(expect.objectContaining({ code: 'CORE_NOT_FINITE' }));
  });

  test('f16 keeps the largest values that round down to 65504', () => {
    expect([...decodeArray(encodeArray(Float32Array.of(65519.996, -65519.996), [2], 'f16'))]).toEqual([65504, -65504]);
  });

  test('blocks whose scale underflows decode to zeros, not to NaN', () => {
    const values = new Float32Array(32).fill(1e-44);
    for (const format of ['q8_0', 'q4_0', 'q4_1'] as const) {
      expect(decodeArray(encodeArray(values, [32], format)).every((value) => value === 0)).toBe(true);
    }
  });

  test('a row that is not whole blocks is refused', () => {
    expect(() => encodeArray(new Float32Array(48), [48], 'q8_0')).toThrow(
      expect.objectContaining({ code: 'CORE_SHAPE' }),
    );
  });

  test('a format that is only read is refused', () => {
    expect(() => encodeArray(new Float32Array(256), [256], 'q6_k' as EncodableFormat)).toThrow(
      expect.objectContaining({ code: 'CORE_UNSUPPORTED' }),
    );
  });

  test('gives memory of its own', () => {
    const values = Float32Array.of(1, 2);
    const array = encodeArray(values, [2], 'f32');
    values[0] = 5;
    expect([...(array.data as Float32Array)]).toEqual([1, 2]);
  });
});

describe('decodeRows', () => {
  test('rounds float64 data to float32', () => {
    expect(decodeArray({ format: 'f32', shape: [1], data: Float64Array.of(0.1) })).toEqual(Float32Array.of(0.1));
  });

  test.each([
    [-1, 1],
    [0, 3],
    [2, 1],
    [0.5, 1],
  ])('rows %d + %d of two are refused', (start, count) => {
    const array: HostArray = { format: 'f32', shape: [2, 2], data: new Float32Array(4) };
    expect(() => decodeRows(array, start, count)).toThrow(expect.objectContaining({ code: 'CORE_ARGUMENT' }));
  });

  test('data of another kind than its format is refused', () => {
    expect(() => decodeArray({ format: 'q8_0', shape: [32], data: new Float32Array(32) })).toThrow(
      expect.objectContaining({ code: 'CORE_FORMAT' }),
    );
  });

  test('i32 is refused', () => {
    expect(() => decodeArray({ format: 'i32', shape: [4], data: new Int32Array(4) })).toThrow(
      expect.objectContaining({ code: 'CORE_UNSUPPORTED' }),
    );
  });

  test('sizes that are no counts are refused', () => {
    for (const shape of [[-1], [1.5], [2 ** 40, 2 ** 40], [NaN]]) {
      expect(() => decodeArray({ format: 'f32', shape, data: new Float32Array(0) })).toThrow(
        expect.objectContaining({ code: 'CORE_SHAPE' }),
      );
    }
  });
});
