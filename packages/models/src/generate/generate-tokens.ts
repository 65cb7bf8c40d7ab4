import { adapterRows } from '@lowrank/core';
import type { CausalLm } from '../causal-lm/causal-lm.ts';
import { KvCache } from '../causal-lm/kv-cache.ts';
import { ModelsError } from '../models-error.ts';
import { checkSampling, type SamplingOptions } from './sampler.ts';
import { Steps } from './steps.ts';

export interface GenerateOptions extends SamplingOptions {
  /** Most new tokens per sequence. Default 256. */
  readonly maxTokens?: number;
  /** Ids that end a sequence; they are not given out. */
  readonly stopIds?: readonly number[];
  /** Each prompt's adapter by name, among those that are on the model and active; undefined: the base alone. Default: all active ones for all. */
  readonly adapters?: readonly (string | undefined)[];
  readonly signal?: AbortSignal;
}

/** One new token of one of the prompts. */
export interface GeneratedToken {
  /** Which prompt it continues. */
  readonly sequence: number;
  readonly id: number;
}

/**
 * Continues prompts, all in one batch, and gives each token as it comes. A sequence ends at a stop id, at `maxTokens`
 * or at the model's context length. Prompts of different lengths need no padding.
 * @throws ModelsError MODELS_ARGUMENT for options out of range and for prompts that are empty, longer than the context or
 * hold ids that the model has not; CoreError CORE_ARGUMENT for adapters that are not there, as `adapterRows`; the signal's reason once it is aborted. The cache is freed in every case.
 */
export async function* generateTokens(
  model: CausalLm,
  prompts: readonly Int32Array[],
  options: GenerateOptions = {},
): AsyncGenerator<GeneratedToken> {
  const { maxTokens = 256, stopIds = [], adapters, signal } = options;
  checkSampling(options);
  if (!Number.isSafeInteger(maxTokens) || maxTokens < 0) {
    throw new ModelsError('MODELS_ARGUMENT', `maxTokens is ${maxTokens}; it lies in whole numbers from 0`, {
      value: maxTokens,
    });
  }
  const { contextLength } = model.config;
  const longest = Math.max(0, ...prompts.map((prompt) => prompt.length));
  for (const prompt of prompts) checkPrompt(prompt, model);
  const ones = prompts.map(() => 1);
  if (adapters !== undefined) adapterRows(model, ones, adapters);
  if (prompts.length === 0 || maxTokens === 0) return;
  signal?.throwIfAborted();
  const cache = new KvCache(model.backend, model.config, prompts.length, Math.min(contextLength, longest + maxTokens));
  /** The context holds all tokens but the last. */
  const left = prompts.map((prompt) => Math.min(maxTokens, cache.capacity - prompt.length + 1));
  const steps = new Steps(model, cache, options);
  try {
    let step = steps.issue(
      prompts.map((_, sequence) => sequence),
      prompts,
    );
    for (;;) {
      const { sequences } = step;
      // Whatever the ids are: the work behind them is issued before they are known, unless it is known that a sequence ends.
      const ahead = sequences.every((sequence) => left[sequence]! > 1) ? steps.issueBehind(step) : undefined;
      const picked = await step.picked;
      step.dispose();
      const going: number[] = [];
      const ids: Int32Array[] = [];
      for (const [row, sequence] of sequences.entries()) {
        const id = picked[row]!;
        if (left[sequence] === 0) continue;
        if (stopIds.includes(id)) {
          left[sequence] = 0;
          continue;
        }
        yield { sequence, id };
        left[sequence]!--;
        if (left[sequence] === 0) continue;
        going.push(sequence);
        ids.push(Int32Array.of(id));
      }
      if (going.length === 0) return;
      signal?.throwIfAborted();
      step = ahead ?? steps.issue(going, ids);
    }
  } finally {
    await steps.dispose();
    cache.dispose();
  }
}

function checkPrompt(prompt: Int32Array, { config }: CausalLm): void {
  if (prompt.length === 0) {
    throw new ModelsError('MODELS_ARGUMENT', 'generate: a prompt has no tokens; give at least one');
  }
  if (prompt.length > config.contextLength) {
    throw new ModelsError(
      'MODELS_ARGUMENT',
      `generate: a prompt of ${prompt.length} tokens does not fit the model's context of ${config.contextLength}`,
      { value: prompt.length },
    );
  }
  const stray = prompt.find((id) => id < 0 || id >= config.vocabularySize);
  if (stray !== undefined) {
    throw new ModelsError(
      'MODELS_ARGUMENT',
      `generate: ${stray} is not a token id of this model (0 to ${config.vocabularySize - 1})`,
      { value: stray },
    );
  }
}
