import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { HostArray } from '@lowrank/core';
import {
  bytesSource,
  encodeGguf,
  encodeLoraGguf,
  fileSource,
  openGguf,
  readLoraGguf,
  writeLoraGguf,
} from '../src/index.ts';
import type { GgufContents, GgufValue, LoraGguf, LoraPair } from '../src/index.ts';

const fixture = new Uint8Array(readFileSync(fileURLToPath(new URL('fixtures/lora.gguf', import.meta.url))));

const matrix = (rows: number, columns: number): HostArray => ({
  format: 'f32',
  shape: [rows, columns],
  data: new Float32Array(rows * columns).map((_, i) => i + rows),
});
const pair = (base: string, out: number, rank: number, columns: number): LoraPair => ({
  base,
  a: matrix(rank, columns),
  b: matrix(out, rank),
});
const adapter = (changes: Partial<LoraGguf> = {}): LoraGguf => ({
  architecture: 'llama',
  alpha: 16,
  tensors: [pair('blk.0.attn_q.weight', 6, 2, 4)],
  ...changes,
});

/** An adapter's file with some metadata or tensors replaced, to be read. */
async function fileWith(metadata: Record<string, GgufValue | undefined>, tensors?: GgufContents['tensors']) {
  const file = await openGguf(bytesSource(await encodeLoraGguf(adapter())));
  const pairs = new Map<string, GgufValue>(file.metadata);
  for (const [key, value] of Object.entries(metadata)) {
    if (value === undefined) pairs.delete(key);
    else pairs.set(key, value);
  }
  const kept = await Promise.all(
    [...file.tensors.keys()].map(async (name) => ({ name, array: await file.read(name) })),
  );
  return openGguf(bytesSource(await encodeGguf({ metadata: pairs, tensors: tensors ?? kept })));
}

describe('an adapter', () => {
  test('of the reference writer is read whole', async () => {
    const file = await openGguf(bytesSource(fixture));
    const { architecture, alpha, tensors } = await readLoraGguf(file);
    expect({ architecture, alpha }).toEqual({ architecture: 'llama', alpha: 16 });
    expect(tensors.map(({ base, a, b }) => [base, a.format, a.shape, b.format, b.shape])).toEqual([
      ['blk.0.attn_q.weight', 'f32', [2, 5], 'f16', [6, 2]],
      ['blk.0.ffn_down.weight', 'f32', [2, 8], 'f16', [3, 2]],
    ]);
    expect(tensors[0]?.a).toEqual(await file.read('blk.0.attn_q.weight.lora_a'));
    expect(tensors[1]?.b).toEqual(await file.read('blk.0.ffn_down.weight.lora_b'));
  });

  test('is written to disk as llama.cpp wants it, and read back', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'lowrank-gguf-'));
    const path = join(folder, 'adapter.gguf');
    const written = adapter({
      metadata: { 'general.name': { type: 'string', value: 'pirate' } },
      tensors: [pair('blk.0.attn_q.weight', 6, 2, 4), pair('blk.1.ffn_up.weight', 5, 3, 4)],
    });
    await writeLoraGguf(path, written);
    expect(readdirSync(folder)).toEqual(['adapter.gguf']);
    const file = await openGguf(await fileSource(path));
    expect([...file.metadata]).toEqual([
      ['general.type', { type: 'string', value: 'adapter' }],
      ['general.architecture', { type: 'string', value: 'llama' }],
      ['adapter.type', { type: 'string', value: 'lora' }],
      ['adapter.lora.alpha', { type: 'f32', value: 16 }],
      ['general.name', { type: 'string', value: 'pirate' }],
    ]);
    expect([...file.tensors.values()].map(({ name, shape }) => [name, shape])).toEqual([
      ['blk.0.attn_q.weight.lora_a', [2, 4]],
      ['blk.0.attn_q.weight.lora_b', [6, 2]],
      ['blk.1.ffn_up.weight.lora_a', [3, 4]],
      ['blk.1.ffn_up.weight.lora_b', [5, 3]],
    ]);
    expect((await readLoraGguf(file)).tensors).toEqual(written.tensors);
    await file.close();
    rmSync(folder, { recursive: true });
  });

  test('that was read can be written again as it is', async () => {
    const bytes = await encodeLoraGguf(adapter({ alpha: 0.1 }));
    expect(await encodeLoraGguf(await readLoraGguf(await openGguf(bytesSource(bytes))))).toEqual(bytes);
  });

  test('of the token embedding has both halves transposed', async () => {
    const tensors = [{ base: 'token_embd.weight', a: matrix(10, 2), b: matrix(4, 2) }];
    const file = await openGguf(bytesSource(await encodeLoraGguf(adapter({ tensors }))));
    expect((await readLoraGguf(file)).tensors).toEqual(tensors);
    const linear = [{ base: 'token_embd.weight', a: matrix(2, 10), b: matrix(4, 2) }];
    await expect(encodeLoraGguf(adapter({ tensors: linear }))).rejects.toMatchObject({
      code: 'GGUF_LORA',
      message: expect.stringContaining('[vocabulary, rank]') as string,
    });
  });
});

const good = pair('blk.0.attn_q.weight', 6, 2, 4);

test.each([
  ['no tensors', { tensors: [] }],
  ['an alpha of 0', { alpha: 0 }],
  ['an alpha that is 0 in float32', { alpha: 1e-60 }],
  ['an infinite alpha', { alpha: Infinity }],
  ['no architecture', { architecture: '' }],
  ['unequal ranks', { tensors: [{ ...good, a: matrix(3, 4) }] }],
  ['a half of three dimensions', { tensors: [{ ...good, a: { ...good.a, shape: [2, 2, 2] } }] }],
  ['rank 0', { tensors: [pair('blk.0.attn_q.weight', 6, 0, 4)] }],
  [
    'a format that llama.cpp does not load',
    { tensors: [{ ...good, a: { format: 'q4_0', shape: [2, 32], data: new Uint8Array(36) } }] },
  ],
  ['a norm', { tensors: [pair('blk.0.attn_norm.weight', 6, 2, 4)] }],
] as [string, Partial<LoraGguf>][])('an adapter with %s is not written', async (_, changes) => {
  await expect(encodeLoraGguf(adapter(changes))).rejects.toMatchObject({ name: 'GgufError', code: 'GGUF_LORA' });
});

test('the same base twice is not written', async () => {
  await expect(encodeLoraGguf(adapter({ tensors: [good, good] }))).rejects.toMatchObject({ code: 'GGUF_INVALID' });
});

test.each([
  ['a model', { 'general.type': { type: 'string', value: 'model' } }, /not a LoRA adapter/],
  ['a file without a type', { 'general.type': undefined }, /general\.type is absent/],
  ['another kind of adapter', { 'adapter.type': { type: 'string', value: 'control_vector' } }, /not "lora"/],
  ['an adapter without alpha', { 'adapter.lora.alpha': undefined }, /adapter\.lora\.alpha/],
  ['an alpha of another type', { 'adapter.lora.alpha': { type: 'u32', value: 16 } }, /of type f32 but it is u32/],
  ['an alpha of 0', { 'adapter.lora.alpha': { type: 'f32', value: 0 } }, /alpha is 0/],
  ['an alpha of NaN', { 'adapter.lora.alpha': { type: 'f32', value: NaN } }, /alpha is NaN/],
  [
    'an activated LoRA',
    { 'adapter.alora.invocation_tokens': { type: 'array', of: 'u32', value: Uint32Array.of(1) } },
    /activated/,
  ],
] as [string, Record<string, GgufValue | undefined>, RegExp][])('%s is not read', async (_, metadata, message) => {
  await expect(readLoraGguf(await fileWith(metadata))).rejects.toMatchObject({
    name: 'GgufError',
    code: 'GGUF_LORA',
    message: expect.stringMatching(message) as string,
  });
});

test('an adapter without an architecture is not read', async () => {
  await expect(readLoraGguf(await fileWith({ 'general.architecture': undefined }))).rejects.toMatchObject({
    code: 'GGUF_METADATA_MISSING',
  });
});

test.each([
  ['half a pair', [{ name: 'x.lora_a', array: matrix(2, 4) }], /not x\.lora_b/],
  ['the other half', [{ name: 'x.lora_b', array: matrix(2, 4) }], /not x\.lora_a/],
  [
    'a stray tensor',
    [
      { name: 'x.lora_a', array: matrix(2, 4) },
      { name: 'x.lora_b', array: matrix(6, 2) },
      { name: 'x.lora_c', array: matrix(1, 1) },
    ],
    /x\.lora_c/,
  ],
  [
    'unequal ranks',
    [
      { name: 'x.lora_a', array: matrix(2, 4) },
      { name: 'x.lora_b', array: matrix(6, 3) },
    ],
    /unequal ranks/,
  ],
  [
    'a vector',
    [
      { name: 'x.lora_a', array: { format: 'f32', shape: [2], data: new Float32Array(2) } },
      { name: 'x.lora_b', array: matrix(6, 2) },
    ],
    /matrices/,
  ],
  [
    'integers',
    [
      { name: 'x.lora_a', array: { format: 'i32', shape: [2, 1], data: new Int32Array(2) } },
      { name: 'x.lora_b', array: matrix(6, 2) },
    ],
    /i32/,
  ],
  ['nothing', [], /without tensors/],
] as [string, GgufContents['tensors'], RegExp][])(
  'an adapter file with %s is not read',
  async (_, tensors, message) => {
    await expect(readLoraGguf(await fileWith({}, tensors))).rejects.toMatchObject({
      name: 'GgufError',
      code: 'GGUF_LORA',
      message: expect.stringMatching(message) as string,
    });
  },
);
