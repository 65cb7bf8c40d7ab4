import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bytesSource, fileSource, openSafetensors, openShards } from '../src/index.ts';
import { entry, raw } from './raw.ts';

const f32 = (from: number, count: number): unknown => entry('F32', [count], [from, from + 4 * count]);
const json = (entries: Record<string, unknown>): string => JSON.stringify(entries);

async function refusal(file: Uint8Array): Promise<{ code: string; message: string; tensor?: string }> {
  return openSafetensors(bytesSource(file, 'wrong.safetensors')).then(
    () => expect.fail('it was read'),
    (error: unknown) => error as { code: string; message: string; tensor?: string },
  );
}

describe('a damaged file is refused by name', () => {
  test.each<readonly [string, Uint8Array, string, RegExp]>([
    ['empty', new Uint8Array(0), 'TRUNCATED', /has 0 bytes/],
    ['cut off in the length', new Uint8Array(7), 'TRUNCATED', /has 7 bytes/],
    [
      'with a header of 10 GB',
      raw('{}', undefined, 10_000_000_000n),
      'HEADER',
      /header of 10000000000 bytes.*100000000/,
    ],
    ['with a header of 2^64 - 1', raw('{}', undefined, 2n ** 64n - 1n), 'HEADER', /18446744073709551615/],
    ['cut off in the header', raw('{}', undefined, 900n), 'TRUNCATED', /header ends at byte 908, the file at 10/],
    ['whose header is not UTF-8', raw(Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x7d)), 'HEADER', /not UTF-8/],
    ['whose header is not JSON', raw('{"a":'), 'HEADER', /not JSON/],
    ['whose header is a list', raw('[]'), 'HEADER', /not a JSON object/],
    ['whose metadata are numbers', raw('{"__metadata__":{"a":1}}'), 'HEADER', /__metadata__/],
  ])('%s', async (_, file, code, says) => {
    const error = await refusal(file);
    expect(error.code).toBe(`SAFETENSORS_${code}`);
    expect(error.message).toMatch(says);
    expect(error.message).toContain('wrong.safetensors');
  });

  const eight = new Uint8Array(8);
  test.each<readonly [string, string, Uint8Array, string, RegExp]>([
    [
      'that reaches beyond the end',
      json({ a: f32(0, 1), t: f32(4, 2) }),
      eight,
      'TRUNCATED',
      /bytes 120 to 128.*ends at 124/,
    ],
    ['that overlaps the one before', json({ a: f32(0, 2), t: f32(4, 1) }), eight, 'CORRUPT', /overlap/],
    ['that lies where another does', json({ a: f32(0, 1), t: f32(0, 2) }), eight, 'CORRUPT', /overlap/],
    ['behind a gap', json({ a: f32(0, 1), t: f32(5, 1) }), new Uint8Array(9), 'CORRUPT', /gap of 1 bytes/],
    ['behind a gap at the start', json({ t: f32(4, 1) }), eight, 'CORRUPT', /gap of 4 bytes/],
    ['of another size than its type and shape', json({ t: entry('F16', [4], [0, 4]) }), eight, 'CORRUPT', /takes 8/],
    ['whose data end before they start', json({ t: entry('F32', [1], [4, 0]) }), eight, 'CORRUPT', /before they start/],
    ['of an unknown type', json({ t: entry('F33', [1], [0, 8]) }), eight, 'CORRUPT', /"F33"/],
    ['without a type', json({ t: { shape: [1], data_offsets: [0, 8] } }), eight, 'CORRUPT', /type is missing/],
    ['with a negative size', json({ t: entry('F32', [-1], [0, 8]) }), eight, 'CORRUPT', /\[-1\]/],
    ['with half a size', json({ t: entry('F32', [0.5], [0, 2]) }), eight, 'CORRUPT', /\[0\.5\]/],
    [
      'too large for any file',
      json({ t: entry('F32', [2 ** 40, 2 ** 40], [0, 8]) }),
      eight,
      'CORRUPT',
      /fits into no file/,
    ],
    ['with one offset', json({ t: entry('F32', [2], [8]) }), eight, 'CORRUPT', /data_offsets/],
    ['that is no entry', '{"t":8}', eight, 'CORRUPT', /not an object/],
    [
      'that stands twice',
      `{"t":${JSON.stringify(f32(0, 2))},"t":${JSON.stringify(f32(0, 2))}}`,
      eight,
      'CORRUPT',
      /twice/,
    ],
    [
      'that stands twice, once in escapes',
      `{"t":${JSON.stringify(f32(0, 2))},"\\u0074":${JSON.stringify(f32(0, 2))}}`,
      eight,
      'CORRUPT',
      /twice/,
    ],
  ])('at a tensor %s', async (_, header, data, code, says) => {
    const error = await refusal(raw(header, data));
    expect(error).toMatchObject({ code: `SAFETENSORS_${code}`, file: 'wrong.safetensors', tensor: 't' });
    expect(error.message).toMatch(says);
    expect(error.message).toMatch(/\bt\b/);
  });

  test('with bytes that belong to no tensor', async () => {
    expect(await refusal(raw(json({ a: f32(0, 1) }), eight))).toMatchObject({
      code: 'SAFETENSORS_CORRUPT',
      message: expect.stringContaining('4 bytes behind the last tensor') as string,
    });
  });

  test('that is not there, or a folder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'safetensors-'));
    await expect(fileSource(join(folder, 'none'))).rejects.toMatchObject({ code: 'SAFETENSORS_NOT_FOUND' });
    await expect(fileSource(folder)).rejects.toMatchObject({ code: 'SAFETENSORS_IO', file: folder });
    await writeFile(join(folder, 'a.safetensors'), raw(json({ a: f32(0, 1) }), new Uint8Array(4)));
    const file = await openSafetensors(await fileSource(join(folder, 'a.safetensors')));
    await file.close();
    await expect(file.read('a')).rejects.toMatchObject({ code: 'SAFETENSORS_CLOSED' });
    await rm(folder, { recursive: true });
  });
});

test('a tensor that is not there, or of no type of weights, is refused by name', async () => {
  const file = await openSafetensors(bytesSource(raw(json({ t: entry('I64', [1], [0, 8]) }), new Uint8Array(8)), 'x'));
  await expect(file.read('a')).rejects.toMatchObject({ code: 'SAFETENSORS_NO_TENSOR', tensor: 'a' });
  await expect(file.read('t')).rejects.toMatchObject({
    code: 'SAFETENSORS_UNSUPPORTED_TYPE',
    tensor: 't',
    value: 'I64',
  });
  expect(await file.readBytes('t')).toEqual(new Uint8Array(8));
});

describe('an index of shards is refused', () => {
  const shard = raw(json({ a: f32(0, 1), b: f32(4, 1) }), new Uint8Array(8));
  test.each<readonly [string, string, RegExp]>([
    ['that is not JSON', '{', /not JSON/],
    ['without a weight_map', '{}', /weight_map/],
    ['that leads out of its folder', '{"weight_map":{"a":"../a.safetensors"}}', /tensor a/],
    ['that leads to another kind of file', '{"weight_map":{"a":"a.bin"}}', /tensor a/],
    [
      'of a tensor that its shard lacks',
      '{"weight_map":{"a":"s.safetensors","b":"s.safetensors","c":"s.safetensors"}}',
      /tensor c/,
    ],
    ['that leaves a tensor out', '{"weight_map":{"a":"s.safetensors"}}', /tensor b/],
    [
      'that lists a tensor twice',
      '{"weight_map":{"a":"s.safetensors","b":"s.safetensors","a":"s.safetensors"}}',
      /tensor a.*twice/,
    ],
  ])('%s', async (_, index, says) => {
    const opened = openShards('index.json', index, async (name) => bytesSource(shard, name));
    await expect(opened).rejects.toMatchObject({
      code: 'SAFETENSORS_INDEX',
      message: expect.stringMatching(says) as string,
    });
  });
});
