import type { CausalLm } from '../../src/causal-lm/index.ts';
import { KvCache, sequenceBatch } from '../../src/causal-lm/index.ts';
import {
  generateTexts,
  generateTokens,
  likeliest,
  streamText,
  type GenerateOptions,
} from '../../src/generate/index.ts';
import { tokenizerFromGguf } from '../../src/tokenizer/index.ts';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { logitsOf, open, openNames, type Opened } from '../support/open.ts';
import { someTokens, tinyLlama } from '../support/tiny-llama.ts';

let names: Opened;
beforeAll(async () => {
  names = await openNames();
});
afterAll(() => names[Symbol.asyncDispose]());

/** The continuations of each prompt. */
async function generated(
  model: CausalLm,
  prompts: readonly Int32Array[],
  options: GenerateOptions,
): Promise<number[][]> {
  const found: number[][] = prompts.map(() => []);
  for await (const { sequence, id } of generateTokens(model, prompts, options)) found[sequence]!.push(id);
  return found;
}

const ids = (...values: number[]): Int32Array => Int32Array.from(values);
const prompts = [ids(5, 9, 2), ids(30), someTokens(17), ids(7, 7)];

describe('the key-value cache', () => {
  it('gives the logits of a pass over the whole sequence, bit for bit', async () => {
    const { model, backend } = names;
    const sequence = someTokens(24);
    const whole = await logitsOf(model, sequence);
    const cache = new KvCache(backend, model.config, 1, 24);
    for (const [from, to] of [
      [0, 9],
      [9, 10],
      [10, 11],
      [11, 20],
      [20, 24],
    ] as const) {
      const piece = sequence.slice(from, to);
      const positions = Int32Array.from(piece, (_, i) => from + i);
      const hidden = model.extend({ ids: piece, positions, lengths: [to - from] }, cache, [0]);
      const logits = model.logits(hidden);
      const values = Float64Array.from(await logits.data());
      const width = model.config.vocabularySize;
      expect(Array.from(piece, (_, i) => values.slice(i * width, (i + 1) * width))).toEqual(whole.slice(from, to));
      hidden.dispose();
      logits.dispose();
    }
    expect(cache.lengths).toEqual([24]);
    const more = { ids: ids(1), positions: ids(24), lengths: [1] };
    expect(() => model.extend(more, cache, [0])).toThrow(/25 tokens does not fit a cache of 24/);
    cache.dispose();
  });

  it('is freed again where there is no memory for all of it', async () => {
    const { model, backend } = names;
    const { liveStorages } = backend.memory();
    expect(() => new KvCache(backend, model.config, 1, 2 ** 31)).toThrow(
      expect.objectContaining({ code: 'BACKEND_OUT_OF_MEMORY' }) as Error,
    );
    expect(backend.memory().liveStorages).toBe(liveStorages);
  });
});

describe('generation', () => {
  it('is greedy without options: each token the likeliest behind all before it', async () => {
    const [prompt] = prompts;
    const [answer] = await generated(names.model, [prompt!], { maxTokens: 12 });
    const sequence = [...prompt!];
    for (const id of answer!) {
      const logits = await logitsOf(names.model, Int32Array.from(sequence));
      expect(id).toBe(likeliest(logits.at(-1)!));
      sequence.push(id);
    }
    expect(answer).toHaveLength(12);
  });

  it.each([
    ['greedy', {}],
    ['sampled', { temperature: 1.3, topK: 20, topP: 0.95, seed: 3 }],
  ])('of several prompts at once gives each what it gets alone: %s', async (_, options) => {
    const together = await generated(names.model, prompts, { ...options, maxTokens: 20, stopIds: [10, 11] });
    // Samples are drawn by the prompt's number: alone, each stands in its own place behind ones that end at once.
    for (const [i, prompt] of prompts.entries()) {
      const padding = prompts.slice(0, i).map(() => ids(4));
      const alone = await generated(names.model, [...padding, prompt], {
        ...options,
        maxTokens: 20,
        stopIds: [10, 11],
      });
      expect(alone.at(-1)).toEqual(together[i]);
    }
    expect(new Set(together.map((answer) => answer.join())).size).toBe(prompts.length);
  });

  it('reads ids alone where it is greedy, and has issued the next token before it gives one', async () => {
    const { model, backend } = names;
    const reads = vi.spyOn(backend, 'read');
    const tokens = generateTokens(model, prompts, { maxTokens: 3 });
    await tokens.next();
    expect(reads.mock.calls.map(([{ dtype, length }]) => [dtype, length])).toEqual([
      ['i32', prompts.length],
      ['i32', prompts.length],
    ]);
    await tokens.return(undefined);
    reads.mockRestore();
  });

  it('of the same seed is the same, of another one another', async () => {
    const sample = (seed: number) => generated(names.model, prompts, { temperature: 1, maxTokens: 16, seed });
    expect(await sample(1)).toEqual(await sample(1));
    expect(await sample(1)).not.toEqual(await sample(2));
  });

  it('ends a sequence before a stop id and at maxTokens', async () => {
    const [free] = await generated(names.model, [prompts[0]!], { maxTokens: 12 });
    const stop = free![5]!;
    const [stopped] = await generated(names.model, [prompts[0]!], { maxTokens: 12, stopIds: [stop] });
    expect(stopped).toEqual(free!.slice(0, free!.indexOf(stop)));
    const [short] = await generated(names.model, [prompts[0]!], { maxTokens: 3 });
    expect(short).toEqual(free!.slice(0, 3));
    expect(await generated(names.model, [prompts[0]!], { maxTokens: 0 })).toEqual([[]]);
    expect(await generated(names.model, [], {})).toEqual([]);
  });

  it('fills the context and no more, for each prompt its own', async () => {
    await using opened = await open(await tinyLlama({ contextLength: 16 }), 'cpu');
    const answers = await generated(opened.model, [someTokens(10), someTokens(16), someTokens(1)], { maxTokens: 100 });
    // The last token of a full context still has a successor; it takes no room.
    expect(answers.map(({ length }) => length)).toEqual([7, 1, 16]);
  });

  it.each([
    ['a prompt without tokens', [ids()], {}, /no tokens/],
    ['a prompt longer than the context', [someTokens(17)], {}, /17 tokens does not fit the model's context of 16/],
    ['an id that the model has not', [ids(40)], {}, /40 is not a token id of this model \(0 to 39\)/],
    ['a negative id', [ids(-1)], {}, /-1 is not a token id/],
    ['half a token', [ids(1)], { maxTokens: 0.5 }, /maxTokens is 0\.5/],
    ['a negative temperature', [ids(1)], { temperature: -1 }, /temperature is -1/],
    ['a top-k of half a token', [ids(1)], { topK: 0.5 }, /topK is 0\.5/],
    ['a top-p of 0', [ids(1)], { topP: 0 }, /topP is 0/],
    ['a top-p above 1', [ids(1)], { topP: 1.1 }, /topP is 1\.1/],
    ['a seed that is no number', [ids(1)], { seed: NaN }, /seed is NaN/],
  ] as const)('refuses %s and keeps nothing', async (_, given, options, says) => {
    await using opened = await open(await tinyLlama({ contextLength: 16 }), 'cpu');
    const { liveStorages } = opened.backend.memory();
    const refused = expect.objectContaining({
      code: 'MODELS_ARGUMENT',
      message: expect.stringMatching(says) as string,
    }) as Error;
    await expect(generated(opened.model, given, options)).rejects.toEqual(refused);
    expect(opened.backend.memory().liveStorages).toBe(liveStorages);
  });

  it.each(['aborted', 'left by its reader', 'finished'])('frees its cache when %s', async (how) => {
    const { model, backend } = names;
    await generated(model, prompts, { maxTokens: 2 });
    const { liveBytes } = backend.memory();
    const controller = new AbortController();
    const run = async (): Promise<void> => {
      let count = 0;
      for await (const { id } of generateTokens(model, prompts, { maxTokens: 10, signal: controller.signal })) {
        expect(id).toBeLessThan(model.config.vocabularySize);
        expect(backend.memory().liveBytes).toBeGreaterThan(liveBytes);
        if (++count < 6) continue;
        if (how === 'aborted') controller.abort(new Error('enough'));
        if (how === 'left by its reader') return;
      }
    };
    const end = await run().then(
      () => 'done',
      (reason: unknown) => (reason as Error).message,
    );
    expect(end).toBe(how === 'aborted' ? 'enough' : 'done');
    expect(backend.memory().liveBytes).toBe(liveBytes);
  });
});

describe('generated text', () => {
  it('comes in pieces that make up the whole, without the end of the turn', async () => {
    const tokenizer = tokenizerFromGguf(names.file.metadata);
    const starts = ['A', 'Chr', 'Z'].map((text) => tokenizer.encode(text));
    const texts = ['', '', ''];
    const options = { maxTokens: 20 };
    const counts = [0, 0, 0];
    for await (const { sequence, text, tokens } of streamText(names.model, tokenizer, starts, options)) {
      texts[sequence] += text;
      counts[sequence]! += tokens;
    }
    expect(texts).toEqual(await generateTexts(names.model, tokenizer, starts, options));
    const answers = await generated(names.model, starts, { ...options, stopIds: tokenizer.endOfTurnIds });
    expect(texts).toEqual(answers.map((answer) => tokenizer.decode(answer)));
    expect(counts).toEqual(answers.map((answer) => answer.length));
    // The model ends its names by itself: the end was seen and is not in the text.
    for (const answer of answers) expect(answer.length).toBeLessThan(20);
    expect(sequenceBatch(starts).lengths).toEqual(starts.map(({ length }) => length));
  });
});
