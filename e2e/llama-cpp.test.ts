/**
 * One adapter in three forms: live on the model that it was trained on, merged into the model's weights, and as a file that
 * llama.cpp puts on the base. All three answer alike (docs/architecture.md, invariant 6).
 */
import type { Adapter, InjectedAdapter } from '@lowrank/core';
import { cpu } from '@lowrank/backend-cpu';
import { lora, loraAdapter, type LoraOptions } from '@lowrank/adapter-lora';
import {
  adapterFromModel,
  encodeChatPrompt,
  fineTune,
  generateTokens,
  openBaseModel,
  readAdapter,
  readJsonLines,
  resolveModel,
  tokenizeRecords,
  writeAdapter,
  writeAdapterGguf,
  writeMergedFolder,
  writeMergedGguf,
  type CausalLmConfig,
  type ChatMessage,
} from '@lowrank/models';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { openLlamaCpp } from './llama-cpp/client.ts';
import { greatestDifference, logitsOf } from './support/log-probabilities.ts';
import { openModel, type OpenModel } from './support/open-model.ts';
import { temporaryFolder } from './support/temporary-folder.ts';

interface Case {
  readonly title: string;
  readonly model: string;
  readonly adapter: LoraOptions;
  /** JSON Lines under examples/. */
  readonly data: string;
  readonly steps: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly prompts: readonly (string | readonly ChatMessage[])[];
  readonly maxTokens: number;
  /** The base and the merged model go through Hugging Face folders, the adapter through a PEFT folder. */
  readonly throughFolders?: boolean;
}

const allLinear: LoraOptions = { targetModules: 'all-linear', excludeModules: ['lm_head'] };
const names = {
  model: 'names',
  data: 'names/train.jsonl',
  steps: 20,
  batchSize: 16,
  learningRate: 1e-2,
  prompts: ['J:', 'W:', 'Chr', [{ role: 'user', content: 'girl' }]],
  maxTokens: 24,
} as const;
const order = (content: string): ChatMessage[] => [
  { role: 'system', content: 'Order to JSON.' },
  { role: 'user', content },
];

const cases: readonly Case[] = [
  { ...names, title: 'LoRA on the embedded model', adapter: { ...allLinear, rank: 8, alpha: 16 } },
  { ...names, title: 'rsLoRA on the embedded model', adapter: { ...allLinear, rank: 6, alpha: 6, useRslora: true } },
  {
    ...names,
    title: 'LoRA of several ranks and scales on the embedded model, by way of folders',
    adapter: { ...allLinear, rank: 6, rankPattern: { q_proj: 3, 'layers\\.2\\..*': 2 }, alphaPattern: { k_proj: 20 } },
    throughFolders: true,
  },
  { ...names, title: 'PiSSA on the embedded model', adapter: { ...allLinear, rank: 4, alpha: 4, init: 'pissa' } },
  {
    title: 'LoRA on SmolLM2',
    model: 'smollm2-135m-instruct',
    adapter: { ...allLinear, rank: 4, alpha: 8 },
    data: 'orders/train.jsonl',
    steps: 4,
    batchSize: 2,
    learningRate: 5e-4,
    prompts: [order('Can I get two large lattes with oat milk to go?'), order('One small espresso, please.')],
    maxTokens: 16,
  },
];

/** What one form of the adapter answers to a prompt, and its logits along the live one's answer, from the prompt's last token on. */
interface Answer {
  readonly ids: readonly number[];
  readonly logits: readonly Float64Array[];
}

describe.each(cases)('$title', (settings) => {
  const answers: Record<'live' | 'merged' | 'llama.cpp', Answer[]> = { live: [], merged: [], 'llama.cpp': [] };
  const { maxTokens } = settings;
  let untrained: Float64Array[];
  let bound: number;

  beforeAll(async () => {
    await using folder = await temporaryFolder();
    const files = {
      adapter: folder.file('adapter.gguf'),
      base: folder.file('base.gguf'),
      merged: folder.file('merged.gguf'),
    };
    const backend = await cpu({ engine: 'native' });
    const { path } = await resolveModel(settings.model);
    let prompts: Int32Array[];
    {
      await using base = await openModel(path, backend);
      prompts = settings.prompts.map((prompt) => promptIds(base, prompt));
      untrained = await logitsOf(base.model, prompts[0]!, prompts[0]!.length - 1);
      const adapter = await train(base, settings);
      answers.live = await ownAnswers(base, prompts, maxTokens);
      bound = logProbabilityBound(
        base.model.config,
        answers.live,
        Math.max(...prompts.map(({ length }) => length)) + maxTokens,
      );
      if (settings.throughFolders === true) {
        const merged = [{ adapter }];
        for (const [name, adapters] of [
          ['base', []],
          ['merged', merged],
        ] as const) {
          await writeMergedFolder(folder.file(name), base.file, base.model, { type: 'f32', adapters });
          await using written = await openBaseModel(folder.file(name));
          await writeMergedGguf(files[name], written.file, written, { type: 'f32' });
        }
        await writeAdapter(folder.file('peft'), base.model, await adapterFromModel(base.model, adapter));
        const plugins = [loraAdapter as unknown as Adapter];
        await writeAdapter(files.adapter, base.model, await readAdapter(folder.file('peft'), base.model, plugins));
      } else {
        await writeAdapterGguf(files.adapter, base.model, adapter);
        await writeMergedGguf(files.base, base.file, base.model, { type: 'f32' });
        await writeMergedGguf(files.merged, base.file, base.model, { type: 'f32', adapter });
      }
    }
    {
      await using merged = await openModel(files.merged, backend);
      answers.merged = await ownAnswers(merged, prompts, maxTokens, answers.live);
    }
    await backend.dispose();
    await using llama = await openLlamaCpp(files.base, { adapterPath: files.adapter });
    for (const [i, prompt] of prompts.entries()) {
      const ids = await llama.greedy(prompt, maxTokens);
      const logits = await llama.logits(along(prompt, answers.live[i]!.ids), prompt.length - 1);
      answers['llama.cpp'].push({ ids, logits });
    }
  }, 300_000);

  it('the adapter changes what the model says, far beyond the bound', () => {
    const [first] = answers.live;
    expect(greatestDifference(untrained, first!.logits.slice(0, 1))).toBeGreaterThan(100 * bound);
  });

  it.each(['merged', 'llama.cpp'] as const)('greedy answers: live = %s', (form) => {
    expect(answers[form].map(({ ids }) => ids)).toEqual(answers.live.map(({ ids }) => ids));
  });

  it.each(['merged', 'llama.cpp'] as const)('log-probabilities of every token: live = %s within the bound', (form) => {
    const differences = answers.live.map(({ logits }, i) => greatestDifference(logits, answers[form][i]!.logits));
    expect(Math.max(...differences)).toBeLessThan(bound);
  });
});

/**
 * How far log-probabilities of two f32 programs may lie apart. u is f32's unit roundoff.
 *
 * A product over k terms has a relative error of about sqrt(k) u (Higham & Mary 2019: rounding errors are independent, so they add
 * in quadrature). Each of a layer's two branches is a chain of at most four products, and rotary angles at position p that are
 * computed in f32 (llama.cpp multiplies them up) are off by p u: sqrt(4 k + p^2) u for a branch. The 2 L branches add up in the
 * residual stream, again in quadrature; the last norm hands the relative error to the logits, of which the largest is S. A
 * log-probability is a logit less the log of the sum: twice the error. Both programs have it: times sqrt(2).
 */
function logProbabilityBound(
  { layers, feedForwardSize }: CausalLmConfig,
  answers: readonly Answer[],
  positions: number,
): number {
  const largest = Math.max(
    ...answers.flatMap(({ logits }) => logits.map((row) => row.reduce((most, x) => Math.max(most, Math.abs(x)), 0))),
  );
  const branch = Math.sqrt(4 * feedForwardSize + positions ** 2) * 2 ** -24;
  return Math.SQRT2 * 2 * Math.sqrt(2 * layers) * branch * largest;
}

async function train({ model, tokenizer, template }: OpenModel, settings: Case): Promise<InjectedAdapter> {
  const data = fileURLToPath(new URL(`../examples/${settings.data}`, import.meta.url));
  const { examples } = await tokenizeRecords(readJsonLines(data), { tokenizer, template });
  const { steps, batchSize, learningRate } = settings;
  const run = { model, adapter: lora(settings.adapter), examples, steps, batchSize, learningRate, seed: 1 };
  return (await fineTune(run)).adapter;
}

function promptIds({ tokenizer, template }: OpenModel, prompt: string | readonly ChatMessage[]): Int32Array {
  return typeof prompt === 'string' ? tokenizer.encode(prompt) : encodeChatPrompt(tokenizer, template!, prompt);
}

/** This project's greedy answers; logits along them, or along `given`. */
async function ownAnswers(
  { model, tokenizer }: OpenModel,
  prompts: readonly Int32Array[],
  maxTokens: number,
  given?: readonly Answer[],
): Promise<Answer[]> {
  const answers = prompts.map((): number[] => []);
  const options = { maxTokens, stopIds: tokenizer.endOfTurnIds };
  for await (const { sequence, id } of generateTokens(model, prompts, options)) answers[sequence]!.push(id);
  return Promise.all(
    answers.map(async (ids, i) => {
      const prompt = prompts[i]!;
      return { ids, logits: await logitsOf(model, along(prompt, given?.[i]?.ids ?? ids), prompt.length - 1) };
    }),
  );
}

function along(prompt: Int32Array, answer: readonly number[]): Int32Array {
  return Int32Array.from([...prompt, ...answer]);
}
