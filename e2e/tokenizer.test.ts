/** SmolLM2's tokenizer, rebuilt from the GGUF's metadata, against llama.cpp's. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { fileSource, openGguf } from '@lowrank/io-gguf';
import { resolveModel, tokenizerFromGguf } from '@lowrank/models';
import type { Tokenizer } from '@lowrank/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hardText } from './hard-text.ts';
import { tokenOracle } from './llama-cpp/token-oracle.ts';
import type { TokenOracle } from './llama-cpp/token-oracle.ts';

interface HardString {
  readonly kind: string;
  readonly text: string;
  readonly plain: readonly number[];
  readonly special: readonly number[];
}

const fixture = new URL('../packages/models/test/fixtures/hard-strings.json', import.meta.url);
const hardStrings = JSON.parse(readFileSync(fixture, 'utf8')) as HardString[];

let tokenizer: Tokenizer;
let oracle: TokenOracle;

beforeAll(async () => {
  const { path } = await resolveModel('smollm2-135m-instruct');
  oracle = await tokenOracle(path);
  const source = await fileSource(path);
  tokenizer = tokenizerFromGguf((await openGguf(source)).metadata);
  await source.close();
});

afterAll(() => oracle?.[Symbol.asyncDispose]());

const encode = (text: string, parseSpecial: boolean): number[] => [
  ...tokenizer.encode(text, { addSpecial: false, parseSpecial }),
];

describe("SmolLM2's token ids", () => {
  it('are held against at least 200 hard strings', () => {
    expect(new Set(hardStrings.map(({ text }) => text)).size).toBeGreaterThanOrEqual(200);
  });

  it.each(hardStrings.map((entry) => [entry.kind, JSON.stringify(entry.text).slice(0, 60), entry] as const))(
    "equal llama.cpp's, committed and live: %s %s",
    (_kind, _text, { text, plain, special }) => {
      expect(encode(text, false)).toEqual(plain);
      expect(encode(text, true)).toEqual(special);
      expect(oracle.encode(text, { parseSpecial: false })).toEqual(plain);
      expect(oracle.encode(text, { parseSpecial: true })).toEqual(special);
    },
  );

  it("equal llama.cpp's on 5,000 generated strings", () => {
    fc.assert(
      fc.property(hardText, fc.boolean(), (text, parseSpecial) => {
        expect(encode(text, parseSpecial)).toEqual(oracle.encode(text, { parseSpecial }));
      }),
      { numRuns: 5000, seed: 20_240_726 },
    );
  });

  it('give the text back, but for bytes that the vocabulary lacks', () => {
    fc.assert(
      fc.property(hardText, (text) => {
        const whole = text.replaceAll(/\p{Surrogate}/gu, '\ufffd');
        let ids: Int32Array;
        try {
          ids = tokenizer.encode(text, { parseSpecial: true, missingBytes: 'throw' });
        } catch {
          return;
        }
        expect(tokenizer.decode(ids, { skipSpecial: false })).toBe(whole);
      }),
      { numRuns: 2000, seed: 7 },
    );
  });

  it("end a generation where llama.cpp's do", () => {
    const ending = Array.from({ length: tokenizer.vocabularySize }, (_, id) => id).filter((id) =>
      oracle.endsGeneration(id),
    );
    expect(tokenizer.endOfTurnIds).toEqual(ending);
  });
});
