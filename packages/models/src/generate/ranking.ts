/**
 * Ids by falling value, equals by id, as many as are asked for: a binary heap, since few of a vocabulary are. Making one takes a
 * pass over all values, each id the logarithm of their number.
 */
export class Ranking {
  readonly #values: ArrayLike<number>;
  readonly #heap: Int32Array;
  #left: number;

  constructor(values: ArrayLike<number>) {
    this.#values = values;
    this.#left = values.length;
    this.#heap = Int32Array.from({ length: values.length }, (_, id) => id);
    for (let at = (values.length >> 1) - 1; at >= 0; at--) this.#sink(at, this.#heap[at]!);
  }

  /** The next id; -1 behind the last. */
  next(): number {
    if (this.#left === 0) return -1;
    const first = this.#heap[0]!;
    const last = this.#heap[--this.#left]!;
    if (this.#left > 0) this.#sink(0, last);
    return first;
  }

  /** Puts `id` at `at`, or where it belongs below. */
  #sink(at: number, id: number): void {
    const heap = this.#heap;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#left) break;
      if (child + 1 < this.#left && this.#before(heap[child + 1]!, heap[child]!)) child++;
      if (!this.#before(heap[child]!, id)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = id;
  }

  #before(a: number, b: number): boolean {
    const [x, y] = [this.#values[a]!, this.#values[b]!];
    return x > y || (x === y && a < b);
  }
}
