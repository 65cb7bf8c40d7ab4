import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { bytesSource, fileSource, openGguf } from '../src/index.ts';
import type { ByteSource, GgufFile, GgufValue } from '../src/index.ts';
import { kind, rawGguf, text, u32, u64 } from './raw-gguf.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

// Written, with its contents as JSON, by tools/fixtures/gguf_files.py with the PyPI package `gguf`.
interface Contents {
  readonly metadata: readonly { key: string; type: string; of?: string; value: unknown }[];
  readonly tensors: readonly { name: string; type: string; shape: number[]; bytes: string }[];
}
const contents = JSON.parse(readFileSync(fixture('every-type.json'), 'utf8')) as Contents;

/** A value as the JSON tells it: integers as text, booleans and text as they are, floats as their type rounds them. */
function told(type: string, value: unknown): unknown {
  if (type === 'f32') return Math.fround(value as number);
  return type.startsWith('u') || type.startsWith('i') ? String(value) : value;
}

const toldArray = (of: string, value: unknown): unknown[] =>
  Array.from(value as Iterable<unknown>, (element) => told(of, element));

/** An entry of the file and one of the JSON in the same form. */
const plain = (entry: GgufValue): unknown =>
  entry.type === 'array' ? [entry.of, toldArray(entry.of, entry.value)] : [entry.type, told(entry.type, entry.value)];
const plainJson = ({ type, of, value }: Contents['metadata'][number]): unknown =>
  of === undefined ? [type, told(type, value)] : [of, toldArray(of, value)];

const open: GgufFile[] = [];
const opened = async (source: ByteSource): Promise<GgufFile> => {
  const file = await openGguf(source);
  open.push(file);
  return file;
};
afterEach(async () => {
  for (const file of open.splice(0)) await file.close();
});

describe.each([
  ['from disk', () => fileSource(fixture('every-type.gguf'))],
  ['from bytes', () => bytesSource(new Uint8Array(readFileSync(fixture('every-type.gguf'))))],
  ['from a Blob', () => bytesSource(new Blob([readFileSync(fixture('every-type.gguf'))]))],
] as const)('a file of the reference writer, %s', (_, source) => {
  test('has each metadata value with its type, in order', async () => {
    const file = await opened(await source());
    expect([...file.metadata].map(([key, entry]) => [key, plain(entry)])).toEqual(
      contents.metadata.map((entry) => [entry.key, plainJson(entry)]),
    );
  });

  test('has each tensor with its type, row-major shape and bytes', async () => {
    const file = await opened(await source());
    expect([...file.tensors.values()].map(({ name, type, shape }) => ({ name, type, shape }))).toEqual(
      contents.tensors.map(({ name, type, shape }) => ({ name, type, shape })),
    );
    for (const { name, type, shape, bytes } of contents.tensors) {
      if (type === 'f64') continue;
      const array = await file.read(name);
      expect(array.format).toBe(type);
      expect(array.shape).toEqual(shape);
      expect(Buffer.from(array.data.buffer, array.data.byteOffset, array.data.byteLength).toString('base64')).toBe(
        bytes,
      );
    }
  });

  test('gives any range of rows', async () => {
    const file = await opened(await source());
    for (const name of ['matrix.weight', 'volume.weight', 'q4_1.weight', 'q6_k.weight']) {
      const whole = await file.read(name);
      const rows = whole.shape.slice(0, -1).reduce((product, size) => product * size, 1);
      const perRow = whole.data.length / rows;
      for (let start = 0; start <= rows; start++) {
        for (let count = 0; start + count <= rows; count++) {
          const part = await file.readRows(name, start, count);
          expect(part).toEqual({
            format: whole.format,
            shape: [count, whole.shape.at(-1)],
            data: whole.data.slice(start * perRow, (start + count) * perRow),
          });
        }
      }
    }
  });
});

test('version 2 reads as version 3 does', async () => {
  const bytes = new Uint8Array(readFileSync(fixture('every-type.gguf')));
  const three = await opened(bytesSource(bytes));
  const patched = bytes.slice();
  patched[4] = 2;
  const two = await opened(bytesSource(patched));
  expect(two.version).toBe(2);
  expect(two.metadata).toEqual(three.metadata);
  expect(two.tensors).toEqual(three.tensors);
});

test('reads arrays of arrays', async () => {
  const inner = [...u32(kind.u32), ...u64(2), ...u32(5), ...u32(6)];
  const strings = [...u32(kind.string), ...u64(1), ...text('x')];
  const bytes = rawGguf({
    pairs: [['nested', [...u32(kind.array), ...u32(kind.array), ...u64(2), ...inner, ...strings]]],
  });
  const file = await opened(bytesSource(bytes));
  expect(file.metadata.get('nested')).toEqual({
    type: 'array',
    of: 'array',
    value: [
      { type: 'array', of: 'u32', value: Uint32Array.of(5, 6) },
      { type: 'array', of: 'string', value: ['x'] },
    ],
  });
});

test('a byte order mark at the start of a string stays', async () => {
  const file = await opened(bytesSource(rawGguf({ pairs: [['k', [...u32(kind.string), ...text('\uFEFFa')]]] })));
  expect(file.metadata.string('k')).toBe('\uFEFFa');
});

test('the header of a large file is read by ranges, and the rest not at all', async () => {
  const vocabulary = Array.from({ length: 40_000 }, (_, i) => `token number ${i}`);
  const header = rawGguf({
    pairs: [
      ['tokens', [...u32(kind.array), ...u32(kind.string), ...u64(vocabulary.length), ...vocabulary.flatMap(text)]],
    ],
    tensors: [{ name: 't', ne: [2 ** 26], type: 0, offset: 0 }],
  });
  const dataStart = Math.ceil(header.length / 32) * 32;
  const reads: [number, number][] = [];
  const file = await opened({
    name: 'a large file',
    size: dataStart + 2 ** 28,
    async read(offset, length) {
      reads.push([offset, length]);
      const bytes = new Uint8Array(length);
      bytes.set(header.subarray(offset, offset + length));
      return bytes;
    },
    async close() {},
  });
  expect(file.metadata.strings('tokens')).toEqual(vocabulary);
  expect(file.tensors.get('t')?.offset).toBe(dataStart);
  const total = reads.reduce((sum, [, length]) => sum + length, 0);
  expect(total).toBeLessThan(header.length + 2 ** 20);
  // No byte twice.
  reads.reduce((end, [offset, length]) => {
    expect(offset).toBe(end);
    return offset + length;
  }, 0);
});

describe('arrays from memory', () => {
  const bytes = rawGguf({
    tensors: [
      { name: 'f', ne: [3], type: 0, offset: 0 },
      { name: 'q', ne: [32], type: 8, offset: 32 },
    ],
    data: Array.from({ length: 66 }, (_, i) => i),
  });

  test('are views of it', async () => {
    const file = await opened(bytesSource(bytes));
    expect((await file.read('f')).data.buffer).toBe(bytes.buffer);
    expect((await file.read('q')).data.buffer).toBe(bytes.buffer);
  });

  test('are copied where numbers would lie at odd addresses', async () => {
    const shifted = new Uint8Array(bytes.length + 1).subarray(1);
    shifted.set(bytes);
    const file = await opened(bytesSource(shifted));
    expect(await file.read('f')).toEqual(await (await opened(bytesSource(bytes))).read('f'));
  });
});

test('a file that ends in the padding after its header opens if it holds no tensor data', async () => {
  const file = await opened(bytesSource(rawGguf({ tensors: [{ name: 'none', ne: [0], type: 0, offset: 0 }] })));
  expect(await file.read('none')).toEqual({ format: 'f32', shape: [0], data: new Float32Array(0) });
});

test('a tensor without dimensions is one number', async () => {
  const file = await opened(
    bytesSource(rawGguf({ tensors: [{ name: 'one', ne: [], type: 26, offset: 0 }], data: [7, 0, 0, 0] })),
  );
  expect(await file.read('one')).toEqual({ format: 'i32', shape: [], data: Int32Array.of(7) });
});

describe('metadata getters', () => {
  const source = bytesSource(new Uint8Array(readFileSync(fixture('every-type.gguf'))));

  test('give values of their kind', async () => {
    const { metadata } = await opened(source);
    expect(metadata.string('test.string')).toBe('naïve 🦜 text');
    expect(metadata.boolean('test.bool')).toBe(true);
    expect(metadata.number('test.f32')).toBe(Math.fround(0.1));
    expect(metadata.number('test.i8')).toBe(-128);
    expect(metadata.integer('test.u32')).toBe(4294967295);
    expect(metadata.strings('test.array.string')).toEqual(['', 'a', 'Ġthe', '\n']);
    expect(metadata.numbers('test.array.i16')).toEqual([-5, 5]);
  });

  test('give the fallback for an absent key, undefined too, and throw without one', async () => {
    const { metadata } = await opened(source);
    expect(metadata.number('absent', 5)).toBe(5);
    expect(metadata.string('absent', undefined)).toBeUndefined();
    expect(() => metadata.string('absent')).toThrow(
      expect.objectContaining({ code: 'GGUF_METADATA_MISSING', value: 'absent' }),
    );
  });

  test.each([
    ['string', 'test.u8'],
    ['boolean', 'test.u8'],
    ['number', 'test.string'],
    ['integer', 'test.f32'],
    ['integer', 'test.u64'],
    ['strings', 'test.array.u8'],
    ['strings', 'test.string'],
    ['numbers', 'test.array.string'],
    ['numbers', 'test.array.u64'],
  ] as const)('%s of %s throws', async (getter, key) => {
    const { metadata } = await opened(source);
    expect(() => metadata[getter](key)).toThrow(expect.objectContaining({ code: 'GGUF_METADATA_TYPE' }));
    expect(() => Reflect.apply(metadata[getter], metadata, [key, 1])).toThrow(
      expect.objectContaining({ code: 'GGUF_METADATA_TYPE' }),
    );
  });
});
