/**
 * `npm run demo` as machines run it, on SmolLM2: it keeps its promises, and llama.cpp with the adapter that it leaves
 * behind answers held-out orders in valid JSON on the quantized base.
 */
import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fileSource, openGguf } from '@lowrank/io-gguf';
import {
  chatTemplateFromGguf,
  encodeChatPrompt,
  readJsonLines,
  resolveModel,
  tokenizerFromGguf,
  type ChatRecord,
} from '@lowrank/models';
import { beforeAll, describe, expect, it } from 'vitest';
import { openLlamaCpp } from './llama-cpp/client.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const MINUTES = 60_000;
/** All held-out orders: llama.cpp takes about a second for each on its one thread. */
const ASKED = 40;

interface Done {
  readonly event: string;
  readonly exactMatchBefore: number;
  readonly exactMatchAfter: number;
  readonly lossBefore: number;
  readonly lossAfter: number;
  readonly adapterPath: string;
  readonly adapterBytes: number;
}

describe('the demo on SmolLM2', () => {
  let lines: Record<string, unknown>[];
  let done: Done;

  beforeAll(async () => {
    const args = ['--conditions=@lowrank/source', 'examples/orders/demo.ts', '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, maxBuffer: 2 ** 26 });
    lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    done = lines.at(-1) as unknown as Done;
  }, 20 * MINUTES);

  it('tells of every step and ends with what was reached', () => {
    expect(done.event).toBe('done');
    expect(lines.filter(({ event }) => event === 'step')).toHaveLength(100);
    expect(lines.filter(({ event }) => event === 'answer')).toHaveLength(80);
  });

  it('goes from almost no exact match to at least 80 %', () => {
    expect(done.exactMatchBefore).toBeLessThan(0.05);
    expect(done.exactMatchAfter).toBeGreaterThanOrEqual(0.8);
    expect(done.lossAfter).toBeLessThan(done.lossBefore / 10);
  });

  it('leaves an adapter behind', async () => {
    expect((await stat(done.adapterPath)).size).toBe(done.adapterBytes);
  });

  it(
    'teaches llama.cpp on the Q4_1 base to answer held-out orders in valid JSON',
    async () => {
      const { path } = await resolveModel('smollm2-135m-instruct');
      await using file = await openGguf(await fileSource(path));
      const tokenizer = tokenizerFromGguf(file.metadata);
      const template = chatTemplateFromGguf(file.metadata, tokenizer)!;
      await using llama = await openLlamaCpp(path, { adapterPath: done.adapterPath });
      const answers: string[] = [];
      for await (const { record } of readJsonLines(`${root}examples/orders/test.jsonl`)) {
        const prompt = encodeChatPrompt(tokenizer, template, (record as ChatRecord).messages.slice(0, -1));
        answers.push(tokenizer.decode(await llama.greedy(prompt, 96)));
      }
      expect(answers).toHaveLength(ASKED);
      for (const answer of answers) {
        expect(JSON.parse(answer)).toEqual({
          items: expect.arrayContaining([
            {
              count: expect.any(Number),
              size: expect.any(String),
              name: expect.any(String),
              extras: expect.any(Array),
            },
          ]),
          to_go: expect.any(Boolean),
        });
      }
    },
    5 * MINUTES,
  );
});
