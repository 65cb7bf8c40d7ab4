import { elementary, RandomStream } from '@lowrank/core';
import { ModelsError } from '../models-error.ts';
import { Ranking } from './ranking.ts';

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

  /** Whether it always takes the likeliest. */
  get greedy(): boolean {
    return this.#options.temperature === 0 || this.#options.topK === 1;
  }

  pick(logits: ArrayLike<number>): number {
    if (this.greedy) return likeliest(logits);
    const { temperature, topK, topP } = this.#options;
    const ranking = new Ranking(logits);
    const candidates = topK === 0 ? logits.length : Math.min(topK, logits.length);
    const order: number[] = [];
    const weights: number[] = [];
    const weightOf = (id: number): number => elementary.exp((logits[id]! - logits[order[0]!]!) / temperature);
    /** Whether there is an i-th candidate; it is ranked then. */
    const has = (i: number): boolean => {
      if (i < order.length || order.length === candidates) return i < order.length;
      order.push(ranking.next());
      weights.push(weightOf(order.at(-1)!));
      return true;
    };
    has(0);
    let total = 0;
    if (topK === 0) for (let id = 0; id < logits.length; id++) total += weightOf(id);
    else for (let i = 0; has(i); i++) total += weights[i]!;
    // The nucleus. Where that is everything, no more is ranked than the draw takes.
    let mass = total;
    let kept = candidates;
    if (topP < 1) for (mass = weights[0]!, kept = 1; mass < topP * total && has(kept); kept++) mass += weights[kept]!;
    let left = this.#random.nextUniform() * mass;
    let picked = order[0]!;
    for (let i = 0; i < kept && has(i) && weights[i]! > 0; i++) {
      picked = order[i]!;
      left -= weights[i]!;
      if (left < 0) break;
    }
    return picked;
  }
}

/** The greatest; of equals the first. */
export function likeliest(logits: ArrayLike<number>): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if (logits[id]! > logits[best]!) best = id;
  return best;
}
