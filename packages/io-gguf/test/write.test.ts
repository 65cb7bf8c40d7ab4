import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bytesSource, encodeGguf, fileSource, openGguf, writeGguf } from '../src/index.ts';
import type { GgufContents, GgufTensorInput, GgufValue } from '../src/index.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lowrank-gguf-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))));

describe.each(['every-type.gguf', 'lora.gguf'])('%s, read and written again', (name) => {
  /** All of a file but its float64 tensor, a type that is not read. */
  async function copyOf(bytes: Uint8Array): Promise<GgufContents> {
    const file = await openGguf(bytesSource(bytes));
    const readable = [...file.tensors.values()].filter(({ format }) => format !== undefined);
    return {
      metadata: file.metadata,
      tensors: readable.map(({ name: tensor, format, shape }): GgufTensorInput => ({
        name: tensor,
        format: format ?? 'f32',
        shape,
        load: () => file.read(tensor),
      })),
    };
  }

  test('is the same in every value, type and byte', async () => {
    const contents = await copyOf(fixture(name));
    const original = await openGguf(bytesSource(fixture(name)));
    const again = await openGguf(bytesSource(await encodeGguf(contents)));
    expect(again.metadata).toEqual(original.metadata);
    expect([...again.metadata.keys()]).toEqual([...original.metadata.keys()]);
    expect(again.alignment).toBe(original.alignment);
    for (const tensor of again.tensors.keys()) expect(await again.read(tensor)).toEqual(await original.read(tensor));
  });

  test('is the same on disk as in memory', async () => {
    const path = join(folder, 'copy.gguf');
    const bytes = await encodeGguf(await copyOf(fixture(name)));
    expect(await writeGguf(path, await copyOf(fixture(name)))).toBe(bytes.length);
    expect(new Uint8Array(readFileSync(path))).toEqual(bytes);
    expect(readdirSync(folder)).toEqual(['copy.gguf']);
  });
});

test('writes the bytes of the reference writer', async () => {
  const bytes = fixture('lora.gguf');
  const file = await openGguf(bytesSource(bytes));
  const tensors = await Promise.all(
    [...file.tensors.keys()].map(async (name) => ({ name, array: await file.read(name) })),
  );
  expect(await encodeGguf({ metadata: file.metadata, tensors })).toEqual(bytes);
});

const vector = (name: string, ...values: number[]): GgufTensorInput => ({
  name,
  array: { format: 'f32', shape: [values.length], data: Float32Array.from(values) },
});

test('lazy tensors are loaded one by one, in order, when their turn comes', async () => {
  const events: string[] = [];
  const lazy = (name: string): GgufTensorInput => ({
    name,
    format: 'f32',
    shape: [2],
    load: async () => {
      events.push(`load ${name}`);
      await Promise.resolve();
      events.push(`loaded ${name}`);
      return { format: 'f32', shape: [2], data: Float32Array.of(1, 2) };
    },
  });
  await writeGguf(join(folder, 'lazy.gguf'), { metadata: {}, tensors: [lazy('a'), lazy('b')] });
  expect(events).toEqual(['load a', 'loaded a', 'load b', 'loaded b']);
});

test('float64 data are rounded to f32', async () => {
  const bytes = await encodeGguf({
    metadata: {},
    tensors: [{ name: 't', array: { format: 'f32', shape: [1], data: Float64Array.of(0.1) } }],
  });
  expect((await (await openGguf(bytesSource(bytes))).read('t')).data).toEqual(Float32Array.of(0.1));
});

test('a view into larger memory is written as the view', async () => {
  const data = Float32Array.of(9, 1, 2, 9).subarray(1, 3);
  const bytes = await encodeGguf({
    metadata: {},
    tensors: [{ name: 't', array: { format: 'f32', shape: [2], data } }],
  });
  expect((await (await openGguf(bytesSource(bytes))).read('t')).data).toEqual(Float32Array.of(1, 2));
});

describe('atomic writing', () => {
  const path = (): string => join(folder, 'model.gguf');

  test('replaces what stood there', async () => {
    writeFileSync(path(), 'old');
    await writeGguf(path(), { metadata: {}, tensors: [vector('t', 1)] });
    const file = await openGguf(await fileSource(path()));
    expect([...file.tensors.keys()]).toEqual(['t']);
    await file.close();
  });

  test('a failing tensor leaves the old file and nothing else, and its own error', async () => {
    writeFileSync(path(), 'old');
    const failing: GgufTensorInput = {
      name: 'b',
      format: 'f32',
      shape: [1],
      load: () => {
        expect(readdirSync(folder)).toHaveLength(2);
        expect(readFileSync(path(), 'utf8')).toBe('old');
        throw new Error('merge failed');
      },
    };
    await expect(writeGguf(path(), { metadata: {}, tensors: [vector('a', 1), failing] })).rejects.toThrow(
      'merge failed',
    );
    expect(readdirSync(folder)).toEqual(['model.gguf']);
    expect(readFileSync(path(), 'utf8')).toBe('old');
  });

  test('a missing folder is an error', async () => {
    await expect(writeGguf(join(folder, 'absent', 'model.gguf'), { metadata: {}, tensors: [] })).rejects.toMatchObject({
      code: 'GGUF_IO',
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  test('a folder in its place is an error that leaves nothing behind', async () => {
    mkdirSync(join(path(), 'inner'), { recursive: true });
    await expect(writeGguf(path(), { metadata: {}, tensors: [] })).rejects.toMatchObject({ code: 'GGUF_IO' });
    expect(readdirSync(folder)).toEqual(['model.gguf']);
  });

  test('invalid contents are refused before anything is written', async () => {
    await expect(writeGguf(path(), { metadata: {}, tensors: [vector('t', 1), vector('t', 2)] })).rejects.toMatchObject({
      code: 'GGUF_INVALID',
    });
    expect(readdirSync(folder)).toEqual([]);
  });
});

const invalidMetadata: [string, GgufValue][] = [
  ['an integer out of range', { type: 'u8', value: 256 }],
  ['a negative unsigned', { type: 'u32', value: -1 }],
  ['a fraction', { type: 'i32', value: 1.5 }],
  ['a 64-bit number that is no bigint', { type: 'u64', value: 5 as unknown as bigint }],
  ['a bigint out of range', { type: 'i64', value: 2n ** 63n }],
  ['a number beyond float32', { type: 'f32', value: 1e39 }],
  ['a number that is text', { type: 'f32', value: '5' as unknown as number }],
  ['a string that is a number', { type: 'string', value: 5 as unknown as string }],
  ['half a surrogate pair', { type: 'string', value: 'a\ud800' }],
  ['a boolean that is a number', { type: 'bool', value: 1 as unknown as boolean }],
  ['an unknown type', { type: 'u128', value: 1n } as unknown as GgufValue],
  ['an array of the wrong kind', { type: 'array', of: 'i32', value: Uint32Array.of(1) as unknown as Int32Array }],
  ['an array of strings that holds a number', { type: 'array', of: 'string', value: [1 as unknown as string] }],
  ['an array of arrays that holds a string', { type: 'array', of: 'array', value: ['x' as never] }],
];

test.each(invalidMetadata)('metadata with %s is refused', async (_, value) => {
  await expect(encodeGguf({ metadata: { key: value }, tensors: [] })).rejects.toMatchObject({
    name: 'GgufError',
    code: 'GGUF_INVALID',
  });
});

test.each([
  ['an alignment that is no power of two', { type: 'u32', value: 48 }],
  ['an alignment that is too small', { type: 'u32', value: 4 }],
  ['an alignment of another type', { type: 'u64', value: 32n }],
] as const)('%s is refused', async (_, value) => {
  await expect(encodeGguf({ metadata: { 'general.alignment': value }, tensors: [] })).rejects.toMatchObject({
    code: 'GGUF_INVALID',
  });
});

const array = (format: string, shape: number[], data: unknown): GgufTensorInput => ({
  name: 't',
  array: { format, shape, data } as never,
});

test.each([
  ['data of another length', 'GGUF_INVALID', array('f32', [3], new Float32Array(2))],
  ['data of another kind', 'GGUF_INVALID', array('f32', [2], new Int32Array(2))],
  ['no data', 'GGUF_INVALID', array('f32', [2], undefined)],
  ['rows that are not whole blocks', 'GGUF_INVALID', array('q8_0', [16], new Uint8Array(17))],
  ['five dimensions', 'GGUF_INVALID', array('f32', [1, 1, 1, 1, 1], new Float32Array(1))],
  ['a negative size', 'GGUF_INVALID', array('f32', [-1, -1], new Float32Array(1))],
  ['a format that GGUF lacks', 'GGUF_UNSUPPORTED_TYPE', array('nf4', [64], new Uint8Array(32))],
  ['a float64 value beyond float32', 'GGUF_INVALID', array('f32', [1], Float64Array.of(1e39))],
  ['a name of 64 bytes, more than llama.cpp keeps', 'GGUF_INVALID', vector('n'.repeat(64), 1)],
  ['no name', 'GGUF_INVALID', vector('', 1)],
] as const)('a tensor with %s is refused', async (_, code, tensor) => {
  await expect(encodeGguf({ metadata: {}, tensors: [tensor] })).rejects.toMatchObject({ name: 'GgufError', code });
});

test('a lazy tensor that is not what was announced is refused', async () => {
  const load = () => ({ format: 'f32' as const, shape: [3], data: new Float32Array(3) });
  await expect(
    encodeGguf({ metadata: {}, tensors: [{ name: 't', format: 'f32', shape: [2], load }] }),
  ).rejects.toMatchObject({ code: 'GGUF_INVALID' });
});
