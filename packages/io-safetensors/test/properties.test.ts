import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  bytesSource,
  encodeSafetensors,
  openSafetensors,
  openSafetensorsModel,
  SafetensorsError,
  writeSafetensors,
  writeSafetensorsModel,
  type SafetensorsTensorInput,
} from '../src/index.ts';
import { entry, raw } from './raw.ts';

const sizes = { F64: 8, I64: 8, F32: 4, I32: 4, F16: 2, BF16: 2, I8: 1, U8: 1, BOOL: 1 } as const;
type Stored = { name: string; dtype: keyof typeof sizes; shape: number[]; bytes: Uint8Array };

const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => text !== '__metadata__');
const stored = fc
  .record({
    name,
    dtype: fc.constantFrom(...(Object.keys(sizes) as (keyof typeof sizes)[])),
    shape: fc.array(fc.nat(4), { maxLength: 3 }),
    seed: fc.nat(255),
  })
  .map(({ seed, ...tensor }): Stored => {
    const length = tensor.shape.reduce((a, b) => a * b, sizes[tensor.dtype]);
    return { ...tensor, bytes: new Uint8Array(length).map((_, i) => seed + 31 * i) };
  });
const contents = fc.record({
  metadata: fc.dictionary(fc.string(), fc.string({ unit: 'grapheme' }), { maxKeys: 3 }),
  tensors: fc.uniqueArray(stored, { selector: (tensor) => tensor.name, maxLength: 6 }),
});

const given = ({ name: called, ...array }: Stored): SafetensorsTensorInput => ({ name: called, array });

describe('generated files', () => {
  test('what is written is read: names, types, shapes, bytes, metadata', async () => {
    await fc.assert(
      fc.asyncProperty(contents, async ({ metadata, tensors }) => {
        const bytes = await encodeSafetensors({ metadata, tensors: tensors.map(given) });
        const file = await openSafetensors(bytesSource(bytes));
        expect(Object.fromEntries(file.metadata)).toEqual({ ...metadata });
        expect(new Set(file.tensors.keys())).toEqual(new Set(tensors.map((tensor) => tensor.name)));
        for (const tensor of tensors) {
          expect(file.tensors.get(tensor.name)).toMatchObject({ dtype: tensor.dtype, shape: tensor.shape });
          expect(await file.readBytes(tensor.name)).toEqual(tensor.bytes);
          // The data lie at multiples of their elements.
          const { offset } = file.tensors.get(tensor.name)!;
          expect(tensor.bytes.length === 0 ? 0 : offset % sizes[tensor.dtype]).toBe(0);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('with bytes changed or cut, a file is read or refused with a typed error', async () => {
    const change = fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(contents, change, fc.option(fc.nat(400)), async ({ metadata, tensors }, changes, cut) => {
        const bytes = await encodeSafetensors({ metadata, tensors: tensors.map(given) });
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        const lengths = async (): Promise<boolean[]> => {
          const file = await openSafetensors(bytesSource(bytes.subarray(0, cut ?? undefined)));
          const right = [];
          for (const [key, info] of file.tensors) right.push((await file.readBytes(key)).length === info.byteLength);
          return right;
        };
        const outcome = await lengths().catch((error: unknown) => error);
        const sound = Array.isArray(outcome)
          ? outcome.every(Boolean)
          : outcome instanceof SafetensorsError && outcome.message.includes('these bytes');
        expect(sound, String(outcome)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('in shards of any size a model reads as in one file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'safetensors-'));
    await fc.assert(
      fc.asyncProperty(contents, fc.integer({ min: 1, max: 200 }), async ({ tensors }, maxShardBytes) => {
        const { files } = await writeSafetensorsModel(folder, { tensors: tensors.map(given) }, { maxShardBytes });
        expect((await readdir(folder)).sort()).toEqual([...files].sort());
        await using model = await openSafetensorsModel(folder);
        expect(model.tensors.size).toBe(tensors.length);
        for (const tensor of tensors) expect(await model.readBytes(tensor.name)).toEqual(tensor.bytes);
        for (const file of files) await rm(join(folder, file));
      }),
      { numRuns: 30 },
    );
    await rm(folder, { recursive: true });
  });
});

test('arrays come back as they went, from unaligned data too', async () => {
  const halves = Uint8Array.of(0, 0x3c, 0, 0xc0);
  const header = JSON.stringify({
    odd: entry('I8', [1], [0, 1]),
    half: entry('F16', [2], [1, 5]),
    brain: entry('BF16', [1, 2], [5, 9]),
    single: entry('F32', [2], [9, 17]),
    whole: entry('I32', [1], [17, 21]),
    double: entry('F64', [1], [21, 29]),
  });
  const data = new Uint8Array(29);
  data.set(halves, 1);
  data.set(halves, 5);
  data.set(new Uint8Array(Float32Array.of(1.5, -2).buffer), 9);
  data.set(new Uint8Array(Int32Array.of(-7).buffer), 17);
  data.set(new Uint8Array(Float64Array.of(0.1).buffer), 21);
  const file = await openSafetensors(bytesSource(raw(header, data)));
  expect(await file.read('half')).toEqual({ format: 'f16', shape: [2], data: halves });
  expect(await file.read('brain')).toEqual({ format: 'bf16', shape: [1, 2], data: halves });
  expect(await file.read('single')).toEqual({ format: 'f32', shape: [2], data: Float32Array.of(1.5, -2) });
  expect(await file.read('whole')).toEqual({ format: 'i32', shape: [1], data: Int32Array.of(-7) });
  expect(await file.read('double')).toEqual({ format: 'f32', shape: [1], data: Float64Array.of(0.1) });
});

test("the bytes are those that the format's specification gives: length, JSON padded to eight, data", async () => {
  const bytes = await encodeSafetensors({
    tensors: [
      { name: 'b', array: { format: 'f32', shape: [2], data: Float32Array.of(1, 2) } },
      { name: 'a', array: { dtype: 'U8', shape: [], bytes: Uint8Array.of(9) } },
    ],
  });
  const header =
    '{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[],"data_offsets":[8,9]}}';
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  expect(bytes).toEqual(raw(padded, Uint8Array.of(...new Uint8Array(Float32Array.of(1, 2).buffer), 9)));
});

test('contents that cannot be such a file are refused by name, and nothing is left behind', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'safetensors-'));
  const path = join(folder, 'x.safetensors');
  const array = { format: 'f32', shape: [1], data: Float32Array.of(1) } as const;
  await writeSafetensors(path, { tensors: [{ name: 'a', array }] });
  const before = await readFile(path);
  const wrong: [SafetensorsTensorInput[], RegExp][] = [
    [[{ name: '', array }], /name/],
    [[{ name: '__metadata__', array }], /__metadata__/],
    [
      [
        { name: 't', array },
        { name: 't', array },
      ],
      /"t".*two tensors/,
    ],
    [[{ name: 't', array: { ...array, shape: [2] } }], /"t".*8 bytes; there are 4/],
    [[{ name: 't', array: { ...array, shape: [-1] } }], /"t".*\[-1\]/],
    [
      [{ name: 't', dtype: 'F32', shape: [2], load: () => array }],
      /"t".*announced as F32 \[2\] but loaded as F32 \[1\]/,
    ],
    [[{ name: 't', dtype: 'F16', shape: [1], load: () => array }], /"t".*announced as F16/],
    [[{ name: 't', array: { format: 'q8_0', shape: [32], data: new Uint8Array(34) } }], /t is q8_0/],
  ];
  for (const [tensors, says] of wrong) {
    await expect(writeSafetensors(path, { tensors })).rejects.toThrow(says);
    await expect(writeSafetensors(path, { tensors })).rejects.toBeInstanceOf(SafetensorsError);
    expect(await readdir(folder)).toEqual(['x.safetensors']);
    expect(await readFile(path)).toEqual(before);
  }
  await expect(writeSafetensors(join(folder, 'none', 'x'), { tensors: [] })).rejects.toMatchObject({
    code: 'SAFETENSORS_IO',
  });
  await rm(folder, { recursive: true });
});
