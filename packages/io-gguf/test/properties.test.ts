import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { HostArray } from '@lowrank/core';
import { GgufError, bytesSource, encodeGguf, openGguf } from '../src/index.ts';
import type { ByteSource, GgufArray, GgufContents, GgufValue } from '../src/index.ts';

const int = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max });
const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const f32 = fc.float({ noNaN: true });

const scalar: fc.Arbitrary<GgufValue> = fc.oneof(
  fc.record({ type: fc.constant('u8' as const), value: int(0, 255) }),
  fc.record({ type: fc.constant('i8' as const), value: int(-128, 127) }),
  fc.record({ type: fc.constant('u16' as const), value: int(0, 65535) }),
  fc.record({ type: fc.constant('i16' as const), value: int(-32768, 32767) }),
  fc.record({ type: fc.constant('u32' as const), value: int(0, 2 ** 32 - 1) }),
  fc.record({ type: fc.constant('i32' as const), value: int(-(2 ** 31), 2 ** 31 - 1) }),
  fc.record({ type: fc.constant('u64' as const), value: fc.bigInt(0n, 2n ** 64n - 1n) }),
  fc.record({ type: fc.constant('i64' as const), value: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n) }),
  fc.record({ type: fc.constant('f32' as const), value: fc.float() }),
  fc.record({ type: fc.constant('f64' as const), value: fc.double() }),
  fc.record({ type: fc.constant('bool' as const), value: fc.boolean() }),
  fc.record({ type: fc.constant('string' as const), value: text }),
);

const typed = <T extends GgufArray['of']>(
  of: T,
  value: fc.Arbitrary<Extract<GgufArray, { of: T }>['value']>,
): fc.Arbitrary<GgufArray> => value.map((elements) => ({ type: 'array', of, value: elements }) as unknown as GgufArray);

const { array } = fc.letrec<{ array: GgufArray }>((tie) => ({
  array: fc.oneof(
    { depthSize: 'small', maxDepth: 3 },
    typed('u8', fc.uint8Array()),
    typed('i8', fc.int8Array()),
    typed('u16', fc.uint16Array()),
    typed('i16', fc.int16Array()),
    typed('u32', fc.uint32Array()),
    typed('i32', fc.int32Array()),
    typed('u64', fc.bigUint64Array()),
    typed('i64', fc.bigInt64Array()),
    typed('f32', fc.float32Array()),
    typed('f64', fc.float64Array()),
    typed('bool', fc.array(fc.boolean())),
    typed('string', fc.array(text)),
    typed('array', fc.array(tie('array'), { maxLength: 4 })),
  ),
}));

const key = fc.string({ minLength: 1, maxLength: 30 }).filter((name) => name !== 'general.alignment');
const alignment = fc.constantFrom<number | undefined>(undefined, 8, 16, 32, 256);

const bytesPerBlock = {
  f16: [1, 2],
  bf16: [1, 2],
  q4_0: [32, 18],
  q4_1: [32, 20],
  q8_0: [32, 34],
  q6_k: [256, 210],
} as const;
const shape = fc.array(int(0, 4), { maxLength: 3 });
const tensorArray: fc.Arbitrary<HostArray> = fc.oneof(
  fc.tuple(shape, f32).map(([sizes, value]) => {
    const data = new Float32Array(sizes.reduce((a, b) => a * b, 1)).map((_, i) => value + i);
    return { format: 'f32' as const, shape: sizes, data };
  }),
  fc.tuple(shape, int(-(2 ** 31), 2 ** 31 - 1)).map(([sizes, value]) => {
    const data = new Int32Array(sizes.reduce((a, b) => a * b, 1)).map((_, i) => value ^ i);
    return { format: 'i32' as const, shape: sizes, data };
  }),
  fc
    .tuple(
      fc.constantFrom(...(Object.keys(bytesPerBlock) as (keyof typeof bytesPerBlock)[])),
      fc.array(int(0, 3), { maxLength: 3 }),
      int(0, 2),
      int(0, 255),
    )
    .map(([format, rows, blocks, seed]) => {
      const [size, bytes] = bytesPerBlock[format];
      const data = new Uint8Array(rows.reduce((a, b) => a * b, 1) * blocks * bytes).map((_, i) => seed + i * 7);
      return { format, shape: [...rows, blocks * size], data };
    }),
);

const contents: fc.Arbitrary<
  GgufContents & { metadata: Map<string, GgufValue>; tensors: { name: string; array: HostArray }[] }
> = fc
  .record({
    pairs: fc.uniqueArray(fc.tuple(key, fc.oneof(scalar, array)), { selector: ([name]) => name, maxLength: 8 }),
    alignment,
    tensors: fc.uniqueArray(fc.record({ name: fc.string({ minLength: 1, maxLength: 40 }), array: tensorArray }), {
      selector: ({ name }) => name,
      maxLength: 6,
    }),
  })
  .map(({ pairs, alignment: align, tensors }) => ({
    metadata: new Map<string, GgufValue>(
      align === undefined ? pairs : [...pairs, ['general.alignment', { type: 'u32', value: align }]],
    ),
    tensors,
  }));

test('what is written is read back: every value with its type, every tensor with its bits', async () => {
  await fc.assert(
    fc.asyncProperty(contents, async ({ metadata, tensors }) => {
      const file = await openGguf(bytesSource(await encodeGguf({ metadata, tensors })));
      expect([...file.metadata]).toEqual([...metadata]);
      expect([...file.tensors.keys()]).toEqual(tensors.map(({ name }) => name));
      for (const { name, array: expected } of tensors) expect(await file.read(name)).toEqual(expected);
      for (const { offset } of file.tensors.values()) expect(offset % file.alignment).toBe(0);
    }),
    { numRuns: 200 },
  );
});

describe('whatever the bytes', () => {
  /**
   * Opens a file and reads everything in it that can be read: `read`, or the code of the typed error.
   * An untyped error is thrown on, as is a request for bytes that are not there.
   */
  async function verdict(bytes: Uint8Array): Promise<string> {
    const honest = bytesSource(bytes);
    const source: ByteSource = {
      ...honest,
      read: (offset, length) => {
        if (!Number.isSafeInteger(offset) || offset < 0 || length < 0 || offset + length > bytes.length) {
          throw new Error(`asked for ${length} bytes at ${offset}`);
        }
        return honest.read(offset, length);
      },
    };
    try {
      const file = await openGguf(source);
      for (const { name, format } of file.tensors.values()) {
        if (format !== undefined) await file.read(name);
      }
      return 'read';
    } catch (error) {
      if (error instanceof GgufError) return error.code;
      throw error;
    }
  }

  test('random ones are refused with a typed error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
        expect(await verdict(bytes)).toMatch(/^GGUF_/);
      }),
      { numRuns: 300 },
    );
  });

  test('random ones behind a proper start are read or refused with a typed error', async () => {
    const start = [0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0];
    const count = fc.nat(3).map((n) => [n, 0, 0, 0, 0, 0, 0, 0]);
    // Mostly small bytes: as counts, lengths and types they get further into the parser than random ones.
    const rest = fc.array(
      fc.oneof(
        { weight: 6, arbitrary: fc.constant(0) },
        { weight: 3, arbitrary: fc.nat(12) },
        { weight: 1, arbitrary: fc.nat(255) },
      ),
      { maxLength: 400 },
    );
    await fc.assert(
      fc.asyncProperty(count, count, rest, async (tensors, pairs, bytes) => {
        expect(await verdict(Uint8Array.from([...start, ...tensors, ...pairs, ...bytes]))).toMatch(/^(read$|GGUF_)/);
      }),
      { numRuns: 500 },
    );
  });

  test('a file with a few bytes changed is read or refused with a typed error', async () => {
    await fc.assert(
      fc.asyncProperty(
        contents,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        async (file, changes) => {
          const bytes = await encodeGguf(file);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          expect(await verdict(bytes)).toMatch(/^(read$|GGUF_)/);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('a file with one bit flipped is read or refused with a typed error', async () => {
    await fc.assert(
      fc.asyncProperty(contents, fc.nat(), async (file, at) => {
        const bytes = await encodeGguf(file);
        const bit = at % (bytes.length * 8);
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(await verdict(bytes)).toMatch(/^(read$|GGUF_)/);
      }),
      { numRuns: 300 },
    );
  });

  test('a file that is cut off before its last tensor ends is refused', async () => {
    const last = { name: 'last', array: { format: 'f32' as const, shape: [1], data: Float32Array.of(1) } };
    await fc.assert(
      fc.asyncProperty(contents, fc.nat(), async ({ metadata, tensors }, at) => {
        const bytes = await encodeGguf({ metadata, tensors: [...tensors.filter(({ name }) => name !== 'last'), last] });
        const end = (await openGguf(bytesSource(bytes))).tensors.get('last')?.offset as number;
        expect(['GGUF_TRUNCATED', 'GGUF_EMPTY']).toContain(await verdict(bytes.subarray(0, at % (end + 4))));
      }),
      { numRuns: 200 },
    );
  });
});
