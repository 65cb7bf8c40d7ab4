import fc from 'fast-check';
import { GgufError } from '@lowrank/io-gguf';
import type { GgufValue } from '@lowrank/io-gguf';
import { describe, expect, it } from 'vitest';
import { ModelsError } from '../src/models-error.ts';
import { tokenizerFromGguf } from '../src/tokenizer/index.ts';
import { BYTES, smallMetadata } from './small-tokenizer.ts';

const tokenizer = tokenizerFromGguf(smallMetadata());
const plain = { addSpecial: false } as const;
const texts = (ids: Int32Array): string[] => [...ids].map((id) => tokenizer.decode([id], { skipSpecial: false }));
const special = (text: string): number => tokenizer.specialId(text)!;

describe('encoding', () => {
  it('merges pairs by rank within words', () => {
    expect(texts(tokenizer.encode('hello world', plain))).toEqual(['hello', ' world']);
    expect(texts(tokenizer.encode('hellhe', plain))).toEqual(['hell', 'he']);
    expect(texts(tokenizer.encode('1212', plain))).toEqual(['12', '12']);
  });

  it('reads control tokens only when asked to, user-defined ones always', () => {
    expect(tokenizer.encode('<|im_end|>', { ...plain, parseSpecial: true })).toEqual(
      Int32Array.of(special('<|im_end|>')),
    );
    expect(tokenizer.encode('<|im_end|>', plain)).not.toContain(special('<|im_end|>'));
    expect(tokenizer.encode('a<name>b', plain)).toContain(special('<name>'));
  });

  it('cuts longer special tokens out before shorter ones', () => {
    expect(texts(tokenizer.encode('<name>s<name>', plain))).toEqual(['<name>s', '<name>']);
  });

  it('adds BOS and EOS where the metadata wants them and the caller does', () => {
    const wants: GgufValue = { type: 'bool', value: true };
    const both = tokenizerFromGguf(
      smallMetadata({ 'tokenizer.ggml.add_bos_token': wants, 'tokenizer.ggml.add_eos_token': wants }),
    );
    expect([...both.encode('a')]).toEqual([both.bosId, BYTES.indexOf('a'), both.eosId]);
    expect([...both.encode('a', plain)]).toEqual([BYTES.indexOf('a')]);
    expect([...tokenizer.encode('a')]).toEqual([BYTES.indexOf('a')]);
  });

  it('takes BOS for granted with pre-tokenizer llama-bpe alone', () => {
    const bos = (pre: string): boolean =>
      tokenizerFromGguf(smallMetadata({ 'tokenizer.ggml.pre': { type: 'string', value: pre } })).addBos;
    expect(['llama-bpe', 'llama3', 'smollm', 'qwen2', 'default', 'gpt-2'].filter(bos)).toEqual(['llama-bpe', 'llama3']);
  });

  it('takes a word that is a token whole with llama-bpe, whatever the merges say', () => {
    const changes = (pre: string): Record<string, GgufValue> => ({
      'tokenizer.ggml.pre': { type: 'string', value: pre },
      'tokenizer.ggml.merges': { type: 'array', of: 'string', value: [] },
    });
    expect(tokenizerFromGguf(smallMetadata(changes('llama-bpe'))).encode('hello', plain)).toHaveLength(1);
    expect(tokenizerFromGguf(smallMetadata(changes('gpt-2'))).encode('hello', plain)).toHaveLength(5);
  });

  it('leaves bytes out that the vocabulary lacks, or says so', () => {
    // As many vocabularies, this one has no token for byte 4.
    const metadata = smallMetadata();
    const tokens = metadata.strings('tokenizer.ggml.tokens').map((token, id) => (id === 4 ? 'unused' : token));
    const lacking = tokenizerFromGguf(
      smallMetadata({ 'tokenizer.ggml.tokens': { type: 'array', of: 'string', value: tokens } }),
    );
    expect(lacking.encode('a\u0004b', plain)).toEqual(Int32Array.of(BYTES.indexOf('a'), BYTES.indexOf('b')));
    expect(() => lacking.encode('a\u0004b', { missingBytes: 'throw' })).toThrow(
      expect.objectContaining({ code: 'MODELS_TOKENIZER_UNENCODABLE' }) as Error,
    );
  });

  it('gives the same ids however full its cache is', () => {
    const fresh = tokenizerFromGguf(smallMetadata());
    const words = Array.from({ length: 22_000 }, (_, i) => `w${i} `).join('');
    const first = fresh.encode(words, plain);
    expect(fresh.encode(words, plain).join()).toBe(first.join());
    expect(fresh.decode(first)).toBe(words);
  });
});

describe('decoding', () => {
  it('gives back any text, lone surrogates as U+FFFD', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.constantFrom('', '\ud800', '\udfff', '<name>', '\ufeff'),
        (text, more) => {
          const whole = text + more;
          expect(tokenizer.decode(tokenizer.encode(whole))).toBe(whole.replaceAll(/\p{Surrogate}/gu, '\ufffd'));
        },
      ),
    );
  });

  it('leaves control tokens out unless asked for them', () => {
    const ids = tokenizer.encode('a<|im_end|>b', { parseSpecial: true });
    expect(tokenizer.decode(ids)).toBe('ab');
    expect(tokenizer.decode(ids, { skipSpecial: false })).toBe('a<|im_end|>b');
  });

  it('holds an incomplete character back until it is whole', () => {
    const decoder = tokenizer.streamDecoder();
    const ids = tokenizer.encode('é🎉', plain);
    expect([...ids].map((id) => decoder.push(id))).toEqual(['', 'é', '', '', '', '🎉']);
    expect(decoder.end()).toBe('');
  });

  it('ends an incomplete character as U+FFFD and starts over', () => {
    const decoder = tokenizer.streamDecoder();
    decoder.push(BYTES.indexOf('Ã'));
    expect(decoder.end()).toBe('\ufffd');
    expect(decoder.push(BYTES.indexOf('a'))).toBe('a');
  });

  it('streams what it decodes at once, for any ids', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(tokenizer.vocabularySize - 1)), (ids) => {
        const decoder = tokenizer.streamDecoder();
        expect(ids.map((id) => decoder.push(id)).join('') + decoder.end()).toBe(tokenizer.decode(ids));
      }),
    );
  });

  it.each([-1, 1.5, 271, Number.NaN])('says that there is no token %d', (id) => {
    expect(() => tokenizer.decode([id])).toThrow(ModelsError);
  });
});

describe('metadata', () => {
  it('names the ids that end generation', () => {
    expect(tokenizer.endOfTurnIds).toEqual([special('<|im_end|>'), special('<|endoftext|>')]);
    expect(tokenizer.eosId).toBe(special('<|im_end|>'));
  });

  it.each<[string, string, GgufValue | undefined]>([
    ['MODELS_TOKENIZER_UNSUPPORTED', 'tokenizer.ggml.model', { type: 'string', value: 'llama' }],
    ['MODELS_TOKENIZER_UNSUPPORTED', 'tokenizer.ggml.model', undefined],
    ['MODELS_TOKENIZER_UNSUPPORTED', 'tokenizer.ggml.pre', { type: 'string', value: 'poro-chat' }],
    ['MODELS_METADATA', 'tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: Int32Array.of(1, 1) }],
    ['MODELS_METADATA', 'tokenizer.ggml.eos_token_id', { type: 'u32', value: 4096 }],
    ['MODELS_METADATA', 'tokenizer.ggml.merges', { type: 'array', of: 'string', value: ['h e', 'nospace'] }],
  ])('that is wrong is %s: %s', (code, key, value) => {
    expect(() => tokenizerFromGguf(smallMetadata({ [key]: value }))).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(key) as string }) as Error,
    );
  });

  it("that lacks the vocabulary is the file's error", () => {
    expect(() => tokenizerFromGguf(smallMetadata({ 'tokenizer.ggml.tokens': undefined }))).toThrow(GgufError);
  });

  it('may leave out token types and the pre-tokenizer', () => {
    const bare = tokenizerFromGguf(
      smallMetadata({ 'tokenizer.ggml.token_type': undefined, 'tokenizer.ggml.pre': undefined }),
    );
    expect(bare.decode(bare.encode('hello world'))).toBe('hello world');
  });
});
