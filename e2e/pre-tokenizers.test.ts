/** Every pre-tokenizer, and the Unicode tables below them, against llama.cpp's, with vocabularies made for it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { GgufMetadata, fileSource, openGguf } from '@lowrank/io-gguf';
import type { GgufValue } from '@lowrank/io-gguf';
import { resolveModel, tokenizerFromGguf } from '@lowrank/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hardText } from './hard-text.ts';
import { tokenOracle } from './llama-cpp/token-oracle.ts';
import { writeVocabularyGguf } from './llama-cpp/vocabulary-gguf.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lowrank-pre-tokenizers-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Both tokenizers of a vocabulary: ours and llama.cpp's. */
async function both(tokenizer: ReadonlyMap<string, GgufValue>) {
  const path = join(folder, `${crypto.randomUUID()}.gguf`);
  await writeVocabularyGguf(path, tokenizer);
  const oracle = await tokenOracle(path);
  return {
    ours: tokenizerFromGguf(new GgufMetadata(tokenizer)),
    oracle,
    [Symbol.asyncDispose]: () => oracle[Symbol.asyncDispose](),
  };
}

const text = (value: string): GgufValue => ({ type: 'string', value });
const texts = (value: readonly string[]): GgufValue => ({ type: 'array', of: 'string', value });

describe.each(['smollm', 'gpt-2', 'default', 'qwen2', 'llama-bpe'])('pre-tokenizer %s', (pre) => {
  it("gives llama.cpp's ids on 1,000 generated strings", async () => {
    const { path } = await resolveModel('smollm2-135m-instruct');
    const source = await fileSource(path);
    const { metadata } = await openGguf(source);
    await source.close();
    const tokenizer = new Map([...metadata].filter(([key]) => key.startsWith('tokenizer.')));
    tokenizer.set('tokenizer.ggml.pre', text(pre));
    await using pair = await both(tokenizer);
    const { ours, oracle } = pair;
    fc.assert(
      fc.property(hardText, fc.boolean(), (string, parseSpecial) => {
        const ids = [...ours.encode(string, { addSpecial: false, parseSpecial })];
        expect(ids).toEqual(oracle.encode(string, { parseSpecial }));
      }),
      { numRuns: 1000, seed: 99 },
    );
  });
});

/**
 * A vocabulary of all bytes in which "a", "1" and "." each merge with any first byte of a character beyond ASCII. The
 * merge happens when both stand in one word: behind "a" for a letter, behind "1" for a number, behind "." for what the
 * pre-tokenizer takes for punctuation.
 */
function probingVocabulary(pre: string): Map<string, GgufValue> {
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
  const pairs = ['a', '1', '.'].flatMap((probe) => bytes.slice(0xc2, 0xf5).map((lead) => [probe, lead] as const));
  const tokens = [...bytes, ...pairs.map(([probe, lead]) => probe + lead), '<end>'];
  return new Map<string, GgufValue>([
    ['tokenizer.ggml.model', text('gpt2')],
    ['tokenizer.ggml.pre', text(pre)],
    ['tokenizer.ggml.tokens', texts(tokens)],
    ['tokenizer.ggml.merges', texts(pairs.map(([probe, lead]) => `${probe} ${lead}`))],
    [
      'tokenizer.ggml.token_type',
      { type: 'array', of: 'i32', value: Int32Array.from(tokens, (token) => (token === '<end>' ? 3 : 1)) },
    ],
    ['tokenizer.ggml.eos_token_id', { type: 'u32', value: tokens.length - 1 }],
    ['tokenizer.ggml.bos_token_id', { type: 'u32', value: tokens.length - 1 }],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: false }],
  ]);
}

/** All that Unicode has given out or is likely to, and a sample of the rest. */
function codePoints(): number[] {
  const points: number[] = [];
  for (let point = 0x80; point <= 0x10ffff; point++) {
    const isSurrogate = point >= 0xd800 && point <= 0xdfff;
    const isPlanned = point < 0x33480 || (point >= 0xe0000 && point < 0xe0200);
    if (!isSurrogate && (isPlanned || point % 61 === 0)) points.push(point);
  }
  return points;
}

describe.each([
  ['letters and numbers', 'gpt-2', ['a', '1']],
  ['punctuation', 'default', ['.']],
])('Unicode tables for %s', (_classes, pre, probes) => {
  it("class the code points as llama.cpp's do", async () => {
    await using pair = await both(probingVocabulary(pre));
    const { ours, oracle } = pair;
    const points = codePoints();
    for (let at = 0; at < points.length; at += 5000) {
      const characters = points.slice(at, at + 5000).map((point) => String.fromCodePoint(point));
      const string = characters.map((character) => probes.map((probe) => `${probe}${character}\n`).join('')).join('');
      const expected = oracle.encode(string, { parseSpecial: false });
      const found = ours.encode(string, { addSpecial: false });
      const differs = found.length !== expected.length ? 0 : found.findIndex((id, i) => id !== expected[i]);
      expect({ from: points[at], differs }).toEqual({ from: points[at], differs: -1 });
    }
  });
});
