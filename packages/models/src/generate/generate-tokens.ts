import { adapterRows, gather, inference, noGrad, passForRows, scope, type Tensor } from '@lowrank/core';
import type { CausalLm } from '../causal-lm/causal-lm.ts';
import { KvCache } from '../causal-lm/kv-cache.ts';
import { indexTensor, type SequenceBatch } from '../causal-lm/sequences.ts';
import { ModelsError } from '../models-error.ts';
import { checkSampling, Sampler, type SamplingOptions } from './sampler.ts';

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
  const cache = new KvCache(model.backend, model.config, prompts.length, Math.min(contextLength, longest + maxTokens));
  try {
    const samplers = prompts.map((_, i) => new Sampler(options, i));
    const given = prompts.map(() => 0);
    let active = prompts.map((prompt, sequence) => ({ sequence, ids: prompt }));
    while (active.length > 0) {
      signal?.throwIfAborted();
      const rows = await lastLogits(model, cache, active, adapters);
      const next: typeof active = [];
      for (const [row, { sequence }] of active.entries()) {
        const id = samplers[sequence]!.pick(rows[row]!);
        if (stopIds.includes(id)) continue;
        yield { sequence, id };
        given[sequence]!++;
        const room = cache.lengths[sequence]! < cache.capacity;
        if (given[sequence]! < maxTokens && room) next.push({ sequence, ids: Int32Array.of(id) });
      }
      active = next;
    }
  } finally {
    cache.dispose();
  }
}

/** Logits behind each sequence's last new token. */
async function lastLogits(
  model: CausalLm,
  cache: KvCache,
  active: readonly { readonly sequence: number; readonly ids: Int32Array }[],
  adapters: GenerateOptions['adapters'],
): Promise<(Float32Array | Float64Array)[]> {
  const batch = continuation(cache, active);
  const names = adapters && active.map(({ sequence }) => adapters[sequence]);
  const pass =
    names === undefined ? inference : { ...inference, adapterRows: adapterRows(model, batch.lengths, names) };
  let end = 0;
  const ends = batch.lengths.map((length) => (end += length) - 1);
  const logits: Tensor = scope(() =>
    noGrad(() => {
      const hidden = model.extend(
        batch,
        cache,
        active.map(({ sequence }) => sequence),
        { pass },
      );
      return model.logits(gather(hidden, indexTensor(model.backend, Int32Array.from(ends))), passForRows(pass, ends));
    }),
  );
  const values = (await logits.data()) as Float32Array | Float64Array;
  logits.dispose();
  const width = model.config.vocabularySize;
  return active.map((_, row) => values.subarray(row * width, (row + 1) * width));
}

function continuation(
  cache: KvCache,
  active: readonly { readonly sequence: number; readonly ids: Int32Array }[],
): SequenceBatch {
  const { lengths } = cache;
  return {
    ids: Int32Array.from(active.flatMap(({ ids }) => [...ids])),
    positions: Int32Array.from(
      active.flatMap(({ sequence, ids }) => Array.from(ids, (_, i) => lengths[sequence]! + i)),
    ),
    lengths: active.map(({ ids }) => ids.length),
  };
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
