/** The model that comes with @lowrank/models. */
import { cpu } from '@lowrank/backend-cpu';
import { parameterCounts, type Backend } from '@lowrank/core';
import { openGguf } from '@lowrank/io-gguf';
import { embeddedModel, encodeChatPrompt, generateTokens, resolveModel } from '@lowrank/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openLlamaCpp } from './llama-cpp/client.ts';
import { openModel, type OpenModel } from './support/open-model.ts';

let path: string;
let backend: Backend;
let names: OpenModel;

beforeAll(async () => {
  ({ path } = await resolveModel('names'));
  backend = await cpu();
  names = await openModel(path, backend);
});

afterAll(async () => {
  await names[Symbol.asyncDispose]();
  await backend.dispose();
});

async function greedy(prompt: Int32Array): Promise<number[]> {
  const ids: number[] = [];
  const options = { maxTokens: 24, stopIds: names.tokenizer.endOfTurnIds };
  for await (const { id } of generateTokens(names.model, [prompt], options)) ids.push(id);
  return ids;
}

describe('the embedded model', () => {
  it('takes at most 2 MB, as bytes and as a file', async () => {
    const source = await embeddedModel();
    expect(source.size).toBe(names.file.source.size);
    expect(source.size).toBeLessThanOrEqual(2e6);
    const file = await openGguf(source);
    expect([...file.tensors.keys()]).toEqual([...names.file.tensors.keys()]);
  });

  it('has the figures that its README states', () => {
    const { metadata } = names.file;
    expect(parameterCounts(names.model).total).toBe(431_232);
    expect(metadata.number('training.loss')).toBeCloseTo(1.662, 4);
    expect(metadata.number('training.validation_loss')).toBeCloseTo(1.9642, 4);
    expect(metadata.string('general.license')).toBe('mit');
  });

  it('writes names: capital first, then small letters', async () => {
    const text = names.tokenizer.decode(await greedy(names.tokenizer.encode('')));
    expect(text).toMatch(/^[A-Z][a-z]+$/);
  });

  it('answers llama.cpp as it answers here: every letter, and both questions of its chat template', async () => {
    await using llama = await openLlamaCpp(path);
    const prompts = [
      ...Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZ', (letter) => names.tokenizer.encode(letter)),
      ...['girl', 'boy'].map((content) =>
        encodeChatPrompt(names.tokenizer, names.template!, [{ role: 'user', content }]),
      ),
    ];
    for (const prompt of prompts) expect(await llama.greedy(prompt, 24)).toEqual(await greedy(prompt));
  });
});
