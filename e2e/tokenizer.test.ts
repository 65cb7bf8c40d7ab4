/** SmolLM2's tokenizer, rebuilt from the GGUF's metadata, against llama.cpp's. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { fileSource, openGguf } from '@lowrank/io-gguf';
import {
  chatTemplateFromGguf,
  encodeConversation,
  readJsonLines,
  renderChat,
  resolveModel,
  tokenizeRecords,
  tokenizerFromGguf,
} from '@lowrank/models';
import type { ChatRecord, ChatTemplate, Tokenizer } from '@lowrank/models';
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
let template: ChatTemplate;
let oracle: TokenOracle;

beforeAll(async () => {
  const { path } = await resolveModel('smollm2-135m-instruct');
  oracle = await tokenOracle(path);
  const source = await fileSource(path);
  const { metadata } = await openGguf(source);
  tokenizer = tokenizerFromGguf(metadata);
  template = chatTemplateFromGguf(metadata, tokenizer)!;
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

describe("SmolLM2's conversations", () => {
  const orders = (name: string) =>
    readJsonLines(fileURLToPath(new URL(`../examples/orders/${name}.jsonl`, import.meta.url)));

  it("have llama.cpp's ids of the rendered text, and are trained on the answers alone", async () => {
    for await (const { record } of orders('train')) {
      const { messages } = record as ChatRecord;
      const { ids, trained } = encodeConversation(tokenizer, template, messages);
      expect([...ids]).toEqual(oracle.encode(renderChat(template, messages), { parseSpecial: true }));
      const answer = ids.filter((_, i) => trained[i] === 1);
      expect(tokenizer.decode(answer, { skipSpecial: false })).toBe(`${messages[2]!.content}<|im_end|>\n`);
    }
  });

  it('get a default system prompt where they have none', () => {
    const { ids } = encodeConversation(tokenizer, template, [
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello' },
    ]);
    expect(tokenizer.decode(ids)).toMatch(/^system\nYou are a helpful AI assistant named SmolLM/);
  });

  it('of the café orders have the figures that their README states', async () => {
    const { examples, tokens, trainedTokens } = await tokenizeRecords(orders('train'), { tokenizer, template });
    const readme = readFileSync(new URL('../examples/orders/README.md', import.meta.url), 'utf8');
    const [, ...stated] = /(\d+) conversations, ([\d,]+) tokens[^,]*, ([\d,]+) of/.exec(readme) ?? [];
    expect(stated.map((figure) => Number(figure.replaceAll(',', '')))).toEqual([
      examples.length,
      tokens,
      trainedTokens,
    ]);
  });
});
