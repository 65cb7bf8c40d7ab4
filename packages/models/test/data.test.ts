import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chatTemplateFromGguf } from '../src/chat/index.ts';
import { IGNORED_TARGET, makeBatch, readJsonLines, tokenizeExample, tokenizeRecords } from '../src/data/index.ts';
import type { DataRecord, NumberedRecord, TokenizeRecordsOptions } from '../src/data/index.ts';
import { tokenizerFromGguf } from '../src/tokenizer/index.ts';
import { smallMetadata } from './small-tokenizer.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lowrank-data-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const value of values) list.push(value);
  return list;
}

async function read(contents: string | Uint8Array): Promise<NumberedRecord[]> {
  const path = join(folder, 'data.jsonl');
  await writeFile(path, contents);
  return all(readJsonLines(path));
}

const metadata = smallMetadata();
const tokenizer = tokenizerFromGguf(metadata);
const template = chatTemplateFromGguf(metadata, tokenizer);
const eos = tokenizer.eosId!;
const error = (code: string, message: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error;

describe('JSON Lines', () => {
  it('hold conversations, completions and texts, with their line numbers', async () => {
    const lines = [
      '{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}],"id":7}',
      '',
      '{"prompt":"a","completion":"b"}',
      '   ',
      '{"text":"c"}',
    ];
    expect(await read(lines.join('\n'))).toEqual([
      {
        line: 1,
        record: {
          messages: [
            { role: 'user', content: 'hi' },
            { role: 'assistant', content: 'hello' },
          ],
        },
      },
      { line: 3, record: { prompt: 'a', completion: 'b' } },
      { line: 5, record: { text: 'c' } },
    ]);
  });

  it('may end their lines with CR LF, begin with a byte order mark and lack the last line end', async () => {
    expect(await read('\ufeff{"text":"a"}\r\n{"text":"b\\r"}\r\n')).toEqual([
      { line: 1, record: { text: 'a' } },
      { line: 2, record: { text: 'b\r' } },
    ]);
  });

  it('give back any texts, however the file is cut into pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'grapheme', maxLength: 400 }), { minLength: 1, maxLength: 20 }),
        async (texts) => {
          // Enough filling that lines lie across the 64 KiB pieces in which files are read.
          const filling = 'é'.repeat(20_000);
          const records = await read(texts.map((text) => `${JSON.stringify({ text: text + filling })}\n`).join(''));
          expect(records.map(({ record }) => (record as { text: string }).text.slice(0, -filling.length))).toEqual(
            texts,
          );
        },
      ),
      { numRuns: 15 },
    );
  });

  it.each<[string, RegExp]>([
    ['{"text":"a"}\n{"text":', /data\.jsonl, line 2: not valid JSON/],
    ['\n\n[1]', /line 3: it is an array, not an object/],
    ['"text"', /line 1: it is a string/],
    ['null', /line 1: it is null/],
    ['{}', /line 1: it has no fields/],
    ['{"question":"a","answer":"b"}', /it has the fields question, answer; expected "messages"/],
    ['{"prompt":"a"}', /line 1: completion: /],
    ['{"text":5}', /line 1: text: .*string/],
    ['{"messages":[]}', /line 1: messages: /],
    ['{"messages":[{"role":"user","content":["hi"]}]}', /line 1: messages\[0\]\.content: /],
    ['{"messages":[{"content":"hi"}]}', /line 1: messages\[0\]\.role: /],
  ])('with a bad line say which and why: %j', async (contents, message) => {
    await expect(read(contents)).rejects.toThrow(error('MODELS_DATA_LINE', message));
  });

  it('that are not UTF-8 say where', async () => {
    await expect(read(Uint8Array.of(0x0a, 0x7b, 0xff, 0x7d))).rejects.toThrow(
      error('MODELS_DATA_LINE', /line 2: not valid UTF-8/),
    );
  });

  it.each(['', '\n \n'])('without a record are refused: %j', async (contents) => {
    await expect(read(contents)).rejects.toThrow(error('MODELS_DATA_EMPTY', /has no records/));
  });

  it('that are not there are refused', async () => {
    await expect(all(readJsonLines(join(folder, 'missing.jsonl')))).rejects.toThrow(
      error('MODELS_DATA_FILE', /missing\.jsonl/),
    );
    await expect(all(readJsonLines(folder))).rejects.toThrow(error('MODELS_DATA_FILE', /EISDIR/));
  });
});

const trainedText = (record: DataRecord, trainOn?: 'completion' | 'everything'): string => {
  const { ids, trained } = tokenizeExample(record, { tokenizer, template, ...(trainOn && { trainOn }) });
  return tokenizer.decode(
    ids.filter((_, i) => trained[i] === 1),
    { skipSpecial: false },
  );
};

describe('examples', () => {
  it('train the completion and its end, not the prompt', () => {
    expect(trainedText({ prompt: 'hi ', completion: 'hello' })).toBe('hello<|im_end|>');
    expect(
      trainedText({
        messages: [
          { role: 'user', content: 'x' },
          { role: 'assistant', content: 'y' },
        ],
      }),
    ).toBe('y<|im_end|>\n');
  });

  it('train everything but the first token when asked to, and texts always', () => {
    expect(trainedText({ prompt: 'hi ', completion: 'hello' }, 'everything')).toBe('i hello<|im_end|>');
    expect(trainedText({ text: 'hi you' })).toBe('i you<|im_end|>');
  });

  it('begin with BOS where the model wants it', () => {
    const own = tokenizerFromGguf(smallMetadata({ 'tokenizer.ggml.add_bos_token': { type: 'bool', value: true } }));
    const { ids, trained } = tokenizeExample({ text: 'a' }, { tokenizer: own });
    expect([...ids]).toEqual([own.bosId, ids[1], eos]);
    expect([...trained]).toEqual([0, 1, 1]);
  });

  it('of a conversation need a chat template', () => {
    const record = { messages: [{ role: 'assistant', content: 'y' }] };
    expect(() => tokenizeExample(record, { tokenizer })).toThrow(error('MODELS_CHAT_TEMPLATE', /no chat template/));
  });
});

const numbered = (...records: DataRecord[]): NumberedRecord[] => records.map((record, i) => ({ line: i + 1, record }));
const tokenize = (records: NumberedRecord[], options: Partial<TokenizeRecordsOptions> = {}) =>
  tokenizeRecords(records, { tokenizer, template, ...options });

describe('data sets', () => {
  // "abcd" and EOS: one token each.
  const records = numbered({ text: 'abcd' }, { text: 'ab' }, { prompt: 'abcd', completion: 'b' });

  it('count their tokens and targets', async () => {
    expect(await tokenize(records)).toMatchObject({ cut: 0, dropped: 0, tokens: 5 + 3 + 6, trainedTokens: 4 + 2 + 2 });
  });

  it('cut what is too long, and drop what has no target left', async () => {
    const { examples, ...counts } = await tokenize(records, { maximumLength: 4 });
    expect(examples.map(({ ids }) => ids.length)).toEqual([4, 3]);
    expect(counts).toEqual({ cut: 1, dropped: 1, tokens: 7, trainedTokens: 5 });
  });

  it('drop what is too long when asked to', async () => {
    const { examples, ...counts } = await tokenize(records, { maximumLength: 5, onTooLong: 'drop' });
    expect(examples.map(({ ids }) => ids.length)).toEqual([5, 3]);
    expect(counts).toEqual({ cut: 0, dropped: 1, tokens: 8, trainedTokens: 6 });
  });

  it('of which nothing is left are refused', async () => {
    const none = numbered({ messages: [{ role: 'user', content: 'hi' }] });
    await expect(tokenize(none)).rejects.toThrow(error('MODELS_DATA_EMPTY', /1 left out/));
  });

  it('name the line of a conversation that cannot be tokenized', async () => {
    const failing = {
      source: "{{ raise_exception('only one turn') if messages|length > 1 }}{{ messages[0].content }}",
    };
    const turn = { role: 'assistant', content: 'ab' };
    await expect(
      tokenize(numbered({ messages: [turn] }, { messages: [turn, turn] }), { template: failing }),
    ).rejects.toThrow(error('MODELS_DATA_LINE', /line 2 of the data set: .*only one turn/));
  });

  it('do not blame a line for what the model lacks', async () => {
    const chat = numbered({ messages: [{ role: 'assistant', content: 'ab' }] });
    await expect(tokenize(chat, { template: undefined })).rejects.toThrow(
      error('MODELS_CHAT_TEMPLATE', /no chat template/),
    );
  });

  it.each([0, 1, 2.5, Number.NaN])('take no maximum length of %d', async (maximumLength) => {
    await expect(tokenize(records, { maximumLength })).rejects.toThrow(error('MODELS_ARGUMENT', /maximum length/));
  });
});

describe('batches', () => {
  it('lay examples end to end, with targets one token ahead within each', () => {
    const batch = makeBatch([
      { ids: Int32Array.of(5, 6, 7), trained: Uint8Array.of(0, 0, 1) },
      { ids: Int32Array.of(8, 9), trained: Uint8Array.of(1, 1) },
      { ids: Int32Array.of(4), trained: Uint8Array.of(1) },
    ]);
    expect([...batch.ids]).toEqual([5, 6, 7, 8, 9, 4]);
    expect([...batch.positions]).toEqual([0, 1, 2, 0, 1, 0]);
    expect([...batch.lengths]).toEqual([3, 2, 1]);
    expect([...batch.targets]).toEqual([IGNORED_TARGET, 7, IGNORED_TARGET, 9, IGNORED_TARGET, IGNORED_TARGET]);
    expect(batch.targetCount).toBe(2);
  });

  it('keep every trained token but an example’s first, whatever the examples', () => {
    const example = fc.array(fc.tuple(fc.nat(99), fc.boolean()), { minLength: 1, maxLength: 9 });
    fc.assert(
      fc.property(fc.array(example, { minLength: 1, maxLength: 5 }), (examples) => {
        const batch = makeBatch(
          examples.map((tokens) => ({
            ids: Int32Array.from(tokens, ([id]) => id),
            trained: Uint8Array.from(tokens, ([, isTrained]) => Number(isTrained)),
          })),
        );
        const expected = examples.flatMap((tokens) =>
          tokens
            .slice(1)
            .filter(([, isTrained]) => isTrained)
            .map(([id]) => id),
        );
        expect([...batch.targets].filter((target) => target !== IGNORED_TARGET)).toEqual(expected);
        expect(batch.targetCount).toBe(expected.length);
      }),
    );
  });
});
