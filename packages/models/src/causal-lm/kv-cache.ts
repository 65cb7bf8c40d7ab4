import { fromStorage, keep, scope, slice, writeSlice, type Backend, type Tensor } from '@lowrank/core';
import { ModelsError } from '../models-error.ts';
import type { CausalLmConfig } from './config.ts';

/**
 * Keys and values of the tokens seen so far, for several sequences: a tensor [sequences * capacity, kvHeads * headSize]
 * per layer, each sequence in its own stretch of rows.
 */
export class KvCache {
  readonly capacity: number;
  readonly #lengths: Int32Array;
  readonly #keys: Tensor[] = [];
  readonly #values: Tensor[] = [];

  constructor(backend: Backend, config: CausalLmConfig, sequences: number, capacity: number) {
    const rows = sequences * capacity;
    const width = config.kvHeads * config.headSize;
    const make = (): Tensor =>
      keep(fromStorage(backend, backend.kernels.fill(0, rows * width, 'f32'), [rows, width], 'f32'));
    this.capacity = capacity;
    this.#lengths = new Int32Array(sequences);
    try {
      for (let layer = 0; layer < config.layers; layer++) {
        this.#keys.push(make());
        this.#values.push(make());
      }
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Tokens that each sequence has. */
  get lengths(): readonly number[] {
    return [...this.#lengths];
  }

  /** Adds a layer's new keys and values; gives all of that layer's. `counts[i]` new rows belong to sequence `rows[i]`. */
  append(
    layer: number,
    k: Tensor,
    v: Tensor,
    sequences: readonly number[],
    counts: readonly number[],
  ): { k: Tensor; v: Tensor } {
    const [keys, values] = [this.#keys[layer]!, this.#values[layer]!];
    scope(() => {
      let at = 0;
      sequences.forEach((sequence, i) => {
        const count = counts[i]!;
        const start = [sequence * this.capacity + this.#lengths[sequence]!, 0];
        const rowsOf = (x: Tensor): Tensor => (sequences.length === 1 ? x : slice(x, 0, at, count));
        writeSlice(keys, rowsOf(k), start);
        writeSlice(values, rowsOf(v), start);
        at += count;
      });
      return undefined;
    });
    return { k: keys, v: values };
  }

  /** Attention segments for new tokens of `sequences`, before `advance`. */
  segments(sequences: readonly number[], counts: readonly number[]): Int32Array {
    const segments = new Int32Array(sequences.length * 4);
    let start = 0;
    sequences.forEach((sequence, i) => {
      const count = counts[i]!;
      const length = this.#lengths[sequence]! + count;
      if (length > this.capacity) {
        throw new ModelsError(
          'MODELS_ARGUMENT',
          `a sequence of ${length} tokens does not fit a cache of ${this.capacity}`,
          { value: length },
        );
      }
      segments.set([start, count, sequence * this.capacity, length], i * 4);
      start += count;
    });
    return segments;
  }

  /** Counts the new tokens, once all layers have them. */
  advance(sequences: readonly number[], counts: readonly number[]): void {
    sequences.forEach((sequence, i) => (this.#lengths[sequence]! += counts[i]!));
  }

  dispose(): void {
    for (const tensor of [...this.#keys, ...this.#values]) tensor.dispose();
  }
}
