import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { GgufError, bytesSource, fileSource, openGguf } from '../src/index.ts';
import type { GgufErrorCode } from '../src/index.ts';
import { kind, rawGguf, text, u32, u64 } from './raw-gguf.ts';
import type { RawGguf, RawTensor } from './raw-gguf.ts';

const folder = mkdtempSync(join(tmpdir(), 'lowrank-gguf-'));
afterAll(() => rmSync(folder, { recursive: true }));

const huge = 2n ** 63n;
const tensor = (changes: Partial<RawTensor> = {}): RawTensor => ({
  name: 't',
  ne: [8],
  type: 0,
  offset: 0,
  ...changes,
});
const data = Array.from({ length: 64 }, () => 1);

const wrong: [string, GgufErrorCode, RegExp, RawGguf | Uint8Array][] = [
  ['an empty file', 'GGUF_EMPTY', /is empty/, new Uint8Array(0)],
  ['another format', 'GGUF_NOT_GGUF', /starts with "PK/, Uint8Array.from([0x50, 0x4b, 3, 4, 0, 0, 0, 0])],
  [
    'a Git LFS pointer',
    'GGUF_NOT_GGUF',
    /Git LFS/,
    new TextEncoder().encode('version https://git-lfs.github.com/spec/v1'),
  ],
  ['a file of one byte', 'GGUF_NOT_GGUF', /starts with "x"/, Uint8Array.of(120)],
  ['half of the magic', 'GGUF_TRUNCATED', /the header/, new TextEncoder().encode('GG')],
  ['nothing after the version', 'GGUF_TRUNCATED', /the header/, rawGguf().subarray(0, 8)],
  ['version 1', 'GGUF_VERSION', /version 1/, { version: 1 }],
  ['version 4', 'GGUF_VERSION', /version 4/, { version: 4 }],
  ['big-endian byte order', 'GGUF_BIG_ENDIAN', /big-endian/, { version: 0x03000000 }],
  ['more tensors than fit', 'GGUF_TRUNCATED', /1000 tensors/, { tensorCount: 1000 }],
  ['more pairs than fit', 'GGUF_TRUNCATED', /1000 metadata/, { pairCount: 1000 }],
  ['a tensor count of 2^63', 'GGUF_CORRUPT', /number of tensors is 9223372036854775808/, { tensorCount: huge }],
  ['a value type of 13', 'GGUF_CORRUPT', /metadata k is of value type 13/, { pairs: [['k', u32(13)]] }],
  ['a boolean of 2', 'GGUF_CORRUPT', /boolean of 2/, { pairs: [['k', [...u32(kind.bool), 2]]] }],
  ['a string of 2^63 bytes', 'GGUF_CORRUPT', /metadata k/, { pairs: [['k', [...u32(kind.string), ...u64(huge)]]] }],
  ['a string that is too long', 'GGUF_TRUNCATED', /metadata k/, { pairs: [['k', [...u32(kind.string), ...u64(99)]]] }],
  [
    'a string that is not UTF-8',
    'GGUF_CORRUPT',
    /metadata k is not UTF-8/,
    { pairs: [['k', [...u32(kind.string), ...u64(1), 0xff]]] },
  ],
  [
    'an array that is too long',
    'GGUF_TRUNCATED',
    /metadata k with 9 elements/,
    { pairs: [['k', [...u32(kind.array), ...u32(kind.u8), ...u64(9)]]] },
  ],
  [
    'an array of strings that is too long',
    'GGUF_TRUNCATED',
    /metadata k with 2 elements/,
    { pairs: [['k', [...u32(kind.array), ...u32(kind.string), ...u64(2), ...text('')]]] },
  ],
  [
    'arrays nine deep',
    'GGUF_CORRUPT',
    /more than 8 deep/,
    {
      pairs: [['k', [...u32(kind.array), ...Array.from({ length: 9 }, () => [...u32(kind.array), ...u64(1)]).flat()]]],
      data,
    },
  ],
  [
    'a key twice',
    'GGUF_CORRUPT',
    /key k stands there twice/,
    {
      pairs: [
        ['k', [...u32(kind.u8), 1]],
        ['k', [...u32(kind.u8), 1]],
      ],
    },
  ],
  [
    'a key of 70,000 bytes',
    'GGUF_CORRUPT',
    /longer than 65535/,
    { pairs: [['k'.repeat(70_000), [...u32(kind.u8), 1]]] },
  ],
  [
    'a tensor name twice',
    'GGUF_CORRUPT',
    /tensor t stands there twice/,
    { tensors: [tensor(), tensor({ offset: 32 })], data },
  ],
  [
    'an alignment of 24',
    'GGUF_CORRUPT',
    /general\.alignment/,
    { pairs: [['general.alignment', [...u32(kind.u32), ...u32(24)]]] },
  ],
  [
    'an alignment of 0',
    'GGUF_CORRUPT',
    /general\.alignment/,
    { pairs: [['general.alignment', [...u32(kind.u32), ...u32(0)]]] },
  ],
  [
    'an alignment of another type',
    'GGUF_CORRUPT',
    /general\.alignment/,
    { pairs: [['general.alignment', [...u32(kind.u64), ...u64(32)]]] },
  ],
  ['five dimensions', 'GGUF_CORRUPT', /5 dimensions/, { tensors: [tensor({ ne: [1, 1, 1, 1, 1] })], data }],
  ['a dimension of 2^63', 'GGUF_CORRUPT', /dimension of tensor t/, { tensors: [tensor({ ne: [huge] })], data }],
  [
    'dimensions whose product overflows',
    'GGUF_CORRUPT',
    /more than any file holds/,
    { tensors: [tensor({ ne: [2 ** 30, 2 ** 30] })], data },
  ],
  [
    'rows that are not whole blocks',
    'GGUF_CORRUPT',
    /whole blocks of 32/,
    { tensors: [tensor({ type: 8, ne: [16, 2] })], data },
  ],
  [
    'an offset off the alignment',
    'GGUF_CORRUPT',
    /not at a multiple of 32/,
    { tensors: [tensor({ offset: 4 })], data },
  ],
  ['an offset of 2^63', 'GGUF_CORRUPT', /offset of tensor t/, { tensors: [tensor({ offset: huge })], data }],
  ['tensor data beyond the end', 'GGUF_TRUNCATED', /tensor t takes bytes/, { tensors: [tensor({ ne: [17] })], data }],
  [
    'an unknown tensor beyond the end',
    'GGUF_TRUNCATED',
    /tensor t takes bytes/,
    { tensors: [tensor({ type: 99, offset: 96 })], data },
  ],
  [
    'overlapping tensors',
    'GGUF_CORRUPT',
    /tensors t and u overlap/,
    { tensors: [tensor({ ne: [9] }), tensor({ name: 'u', offset: 32 })], data },
  ],
  [
    'a tensor entry that is cut off',
    'GGUF_TRUNCATED',
    /entry of tensor a long enough name/,
    rawGguf({ tensors: [tensor({ name: 'a long enough name' })] }).subarray(0, 60),
  ],
];

describe.each(wrong)('%s', (_, code, message, raw) => {
  const bytes = raw instanceof Uint8Array ? raw : rawGguf(raw);

  test.each(['bytes', 'file'] as const)(`is ${code} (%s)`, async (from) => {
    const path = join(folder, 'wrong.gguf');
    if (from === 'file') writeFileSync(path, bytes);
    const error = await openGguf(from === 'file' ? await fileSource(path) : bytesSource(bytes, path)).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(GgufError);
    expect((error as GgufError).code).toBe(code);
    expect((error as GgufError).message).toMatch(message);
    expect((error as GgufError).message).toContain(path);
  });
});

describe('a tensor of an unknown type', () => {
  const bytes = rawGguf({ tensors: [tensor({ type: 99 }), tensor({ name: 'u', offset: 32 })], data });

  test('does not keep the file from opening', async () => {
    const file = await openGguf(bytesSource(bytes));
    expect(file.tensors.get('t')).toMatchObject({
      type: 'type 99',
      typeId: 99,
      format: undefined,
      byteLength: undefined,
      shape: [8],
    });
    expect((await file.read('u')).data).toHaveLength(8);
  });

  test('is an error when it is read', async () => {
    const file = await openGguf(bytesSource(bytes));
    await expect(file.read('t')).rejects.toMatchObject({ code: 'GGUF_UNSUPPORTED_TYPE', value: 'type 99' });
    await expect(file.readRows('t', 0, 1)).rejects.toMatchObject({ code: 'GGUF_UNSUPPORTED_TYPE' });
  });
});

test('a tensor that is not there is an error', async () => {
  const file = await openGguf(bytesSource(rawGguf()));
  await expect(file.read('x')).rejects.toMatchObject({ code: 'GGUF_NO_TENSOR', value: 'x' });
});

test.each([
  [-1, 1],
  [0, 4],
  [3, 1],
  [0.5, 1],
  [NaN, 1],
])('rows %d + %d of three are an error', async (start, count) => {
  const file = await openGguf(bytesSource(rawGguf({ tensors: [tensor({ ne: [2, 3] })], data })));
  await expect(file.readRows('t', start, count)).rejects.toMatchObject({ code: 'GGUF_ARGUMENT' });
});

describe('on disk', () => {
  test('a missing file is an error', async () => {
    await expect(fileSource(join(folder, 'absent.gguf'))).rejects.toMatchObject({
      code: 'GGUF_NOT_FOUND',
      message: expect.stringContaining('absent.gguf') as string,
    });
  });

  test('a folder is an error', async () => {
    await expect(fileSource(folder)).rejects.toMatchObject({ code: 'GGUF_IO' });
  });

  test('a file that shrinks while it is open is an error', async () => {
    const path = join(folder, 'shrinking.gguf');
    writeFileSync(path, rawGguf({ tensors: [tensor()], data }));
    const file = await openGguf(await fileSource(path));
    truncateSync(path, 70);
    await expect(file.read('t')).rejects.toMatchObject({ code: 'GGUF_TRUNCATED' });
    await file.close();
  });

  test('reading after closing is an error, closing twice is not', async () => {
    const path = join(folder, 'closed.gguf');
    writeFileSync(path, rawGguf({ tensors: [tensor()], data }));
    const file = await openGguf(await fileSource(path));
    await file.close();
    await file.close();
    await expect(file.read('t')).rejects.toMatchObject({ code: 'GGUF_CLOSED' });
  });
});

test('a source is closed when its file does not open', async () => {
  let closed = 0;
  const source = { ...bytesSource(Uint8Array.of(1)), close: async () => void closed++ };
  await expect(openGguf(source)).rejects.toBeInstanceOf(GgufError);
  expect(closed).toBe(1);
});
