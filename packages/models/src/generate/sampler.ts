import { elementary, RandomStream } from '@lowrank/core';
import { ModelsError } from '../models-error.ts';

export interface SamplingOptions {
  /** 0 takes the likeliest token (greedy). Default 0. */
  readonly temperature?: number;
  /** Only the k likeliest tokens; 0 for all. Default 0. */
  readonly topK?: number;
  /** Only the likeliest tokens that together have at least this probability (Holtzman et al. 2019, arXiv 1904.09751). Default 1. */
  readonly topP?: number;
  /** Decides the samples, together with the sequence's number. Default 0. */
  readonly seed?: number;
}

/** @throws ModelsError MODELS_ARGUMENT naming the option that is out of range. */
export function checkSampling({ temperature = 0, topK = 0, topP = 1, seed = 0 }: SamplingOptions): void {
  const complain = (name: string, value: number, range: string): never => {
    throw new ModelsError('MODELS_ARGUMENT', `${name} is ${value}; it lies in ${range}`, { value });
  };
  if (!(temperature >= 0 && temperature < Infinity)) complain('temperature', temperature, '[0, infinity)');
  if (!Number.isInteger(topK) || topK < 0) complain('topK', topK, 'whole numbers from 0');
  if (!(topP > 0 && topP <= 1)) complain('topP', topP, '(0, 1]');
  if (!Number.isSafeInteger(seed) || seed < 0) complain('seed', seed, 'whole numbers from 0');
}

/** Picks tokens for one sequence. The same seed and logits give the same tokens on every JavaScript engine. */
export class Sampler {
  readonly #options: Required<SamplingOptions>;
  readonly #random: RandomStream;

  constructor(options: SamplingOptions, sequence: number) {
    checkSampling(options);
    const { temperature = 0, topK = 0, topP = 1, seed = 0 } = options;
    this.#options = { temperature, topK, topP, seed };
    this.#random = new RandomStream(this.#options.seed, `sample/${sequence}`);
  }

  pick(logits: ArrayLike<number>): number {
    const { temperature, topK, topP } = this.#options;
    if (temperature === 0 || topK === 1) return likeliest(logits);
    const order = ranked(logits, topK);
    const top = logits[order[0]!]!;
    const weights = order.map((id) => elementary.exp((logits[id]! - top) / temperature));
    const total = weights.reduce((a, b) => a + b, 0);
    let kept = 0;
    let mass = 0;
    while (kept < weights.length && (kept === 0 || mass < topP * total)) mass += weights[kept++]!;
    let left = this.#random.nextUniform() * mass;
    for (let i = 0; i < kept; i++) {
      left -= weights[i]!;
      if (left < 0) return order[i]!;
    }
    return order[kept - 1]!;
  }
}

/** The greatest; of equals the first. */
export function likeliest(logits: ArrayLike<number>): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}

/** Token ids by falling logit, equals by id: all, or the first `count`. */
function ranked(logits: ArrayLike<number>, count: number): number[] {
  const ids = Array.from(logits, (_, id) => id).sort((a, b) => logits[b]! - logits[a]! || a - b);
  return count === 0 ? ids : ids.slice(0, count);
}
