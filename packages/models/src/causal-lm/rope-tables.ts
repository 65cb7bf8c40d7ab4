import { elementary, keep, tensor, type Backend, type Tensor } from '@lowrank/core';
import type { CausalLmConfig } from './config.ts';

/**
 * Cosines and sines of RoPE's angles, [positions, dimensions / 2], computed in float64 on the host with core's own
 * functions and rounded once: the same bits everywhere. Grows as longer sequences come.
 */
export class RopeTables {
  readonly #backend: Backend;
  readonly #frequencies: Float64Array;
  readonly #limit: number;
  #tables: { readonly rows: number; readonly cos: Tensor; readonly sin: Tensor } | undefined;

  /** @param factors divides each pair's frequency (Llama 3's `rope_freqs.weight`). */
  constructor(backend: Backend, config: CausalLmConfig, factors?: ArrayLike<number>) {
    const { ropeBase, ropeDimensions, ropeScale, contextLength } = config;
    this.#backend = backend;
    this.#limit = contextLength;
    this.#frequencies = Float64Array.from(
      { length: ropeDimensions / 2 },
      (_, i) => elementary.exp((-2 * i * elementary.log(ropeBase)) / ropeDimensions) / ropeScale / (factors?.[i] ?? 1),
    );
  }

  /** Tables of at least `positions` rows. Owned by this object; a longer request replaces them. */
  upTo(positions: number): { readonly cos: Tensor; readonly sin: Tensor } {
    if (this.#tables === undefined || this.#tables.rows < positions) {
      const rows = Math.max(positions, Math.min(this.#limit, Math.max(512, 2 * (this.#tables?.rows ?? 0))));
      this.dispose();
      this.#tables = { rows, cos: this.#table(rows, elementary.cos), sin: this.#table(rows, elementary.sin) };
    }
    return this.#tables;
  }

  #table(rows: number, f: (angle: number) => number): Tensor {
    const pairs = this.#frequencies.length;
    const values = new Float32Array(rows * pairs);
    for (let position = 0; position < rows; position++) {
      for (let i = 0; i < pairs; i++) values[position * pairs + i] = f(position * this.#frequencies[i]!);
    }
    return keep(tensor(this.#backend, values, [rows, pairs]));
  }

  dispose(): void {
    this.#tables?.cos.dispose();
    this.#tables?.sin.dispose();
    this.#tables = undefined;
  }
}
