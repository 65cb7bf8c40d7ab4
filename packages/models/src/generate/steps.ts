import { adapterRows, gather, inference, noGrad, passForRows, scope, type Tensor } from '@lowrank/core';
import type { CausalLm } from '../causal-lm/causal-lm.ts';
import type { KvCache } from '../causal-lm/kv-cache.ts';
import { indexTensor, type TokenBatch } from '../causal-lm/sequences.ts';
import type { GenerateOptions } from './generate-tokens.ts';
import { LikeliestIds } from './likeliest-ids.ts';
import { Sampler } from './sampler.ts';

/** A forward pass that has been issued. */
interface Step {
  /** Whose tokens they are. */
  readonly sequences: readonly number[];
  /** Each one's next id. */
  readonly picked: Promise<ArrayLike<number>>;
  /** The same on the backend, i32 [sequences], where they are picked there. */
  readonly ids: Tensor | undefined;
  dispose(): void;
}

/**
 * Passes over new tokens. Greedy ids are picked on the backend, so that a pass can be issued behind one whose ids are not known yet;
 * samples are drawn here.
 */
export class Steps {
  readonly #model: CausalLm;
  readonly #cache: KvCache;
  readonly #adapters: GenerateOptions['adapters'];
  readonly #samplers: readonly Sampler[];
  readonly #likeliest: LikeliestIds | undefined;
  readonly #open: Set<Step> = new Set();

  constructor(model: CausalLm, cache: KvCache, options: GenerateOptions) {
    this.#model = model;
    this.#cache = cache;
    this.#adapters = options.adapters;
    this.#samplers = cache.lengths.map((_, sequence) => new Sampler(options, sequence));
    if (this.#samplers.every(({ greedy }) => greedy)) {
      this.#likeliest = new LikeliestIds(model.backend, model.config.vocabularySize);
    }
  }

  /** A pass over each sequence's new ids. */
  issue(sequences: readonly number[], ids: readonly Int32Array[]): Step {
    const flat = Int32Array.from(ids.flatMap((some) => [...some]));
    return this.#issue(
      sequences,
      flat,
      ids.map(({ length }) => length),
    );
  }

  /** A pass over the ids that a step picks, of the same sequences; none where they are picked here. */
  issueBehind({ sequences, ids }: Step): Step | undefined {
    if (ids === undefined) return undefined;
    return this.#issue(
      sequences,
      ids,
      sequences.map(() => 1),
    );
  }

  #issue(sequences: readonly number[], ids: Int32Array | Tensor, lengths: readonly number[]): Step {
    const logits = this.#logits(sequences, ids, lengths);
    const likeliest = this.#likeliest?.of(logits);
    if (likeliest !== undefined) logits.dispose();
    const step: Step = {
      sequences,
      picked: likeliest?.data() ?? this.#sample(sequences, logits),
      ids: likeliest,
      dispose: () => {
        this.#open.delete(step);
        (likeliest ?? logits).dispose();
      },
    };
    this.#open.add(step);
    // Nobody may be waiting for it when it fails.
    step.picked.catch(() => {});
    return step;
  }

  /** Logits behind each sequence's last new token. */
  #logits(sequences: readonly number[], ids: Int32Array | Tensor, lengths: readonly number[]): Tensor {
    const model = this.#model;
    const before = this.#cache.lengths;
    const positions = sequences.flatMap((sequence, i) =>
      Array.from({ length: lengths[i]! }, (_, at) => before[sequence]! + at),
    );
    const batch: TokenBatch = { ids, positions: Int32Array.from(positions), lengths };
    const names = this.#adapters && sequences.map((sequence) => this.#adapters![sequence]);
    const pass = names === undefined ? inference : { ...inference, adapterRows: adapterRows(model, lengths, names) };
    let end = 0;
    const ends = lengths.map((length) => (end += length) - 1);
    return scope(() =>
      noGrad(() => {
        const hidden = model.extend(batch, this.#cache, sequences, { pass });
        return model.logits(gather(hidden, indexTensor(model.backend, Int32Array.from(ends))), passForRows(pass, ends));
      }),
    );
  }

  async #sample(sequences: readonly number[], logits: Tensor): Promise<number[]> {
    const values = (await logits.data()) as Float32Array;
    const width = this.#model.config.vocabularySize;
    return sequences.map((sequence, row) =>
      this.#samplers[sequence]!.pick(values.subarray(row * width, (row + 1) * width)),
    );
  }

  /** Waits for what has been issued, and frees it. */
  async dispose(): Promise<void> {
    for (const step of this.#open) {
      await step.picked.catch(() => {});
      step.dispose();
    }
    this.#likeliest?.dispose();
  }
}
