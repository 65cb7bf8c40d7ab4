import type { Storage } from '@lowrank/core';
import type { Arena, Caller } from './arena.ts';

/** Attention's segments of the batches and caches in use. */
const most = 32;

/** Lists from the host on the device, by the identity of their array: what was used longest ago goes first. */
export class Lists {
  readonly #arena: Arena;
  readonly #lists = new Map<object, Storage>();

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  get(values: Int32Array | Uint32Array, caller: Caller): Storage {
    const known = this.#lists.get(values);
    if (known !== undefined) {
      this.#lists.delete(values);
      this.#lists.set(values, known);
      return known;
    }
    if (this.#lists.size >= most) {
      const [oldest, storage] = this.#lists.entries().next().value!;
      this.#lists.delete(oldest);
      this.#arena.free(storage);
    }
    const bytes = new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
    const fresh = this.#arena.allocateFilled('i32', values.length, bytes, caller, false);
    this.#lists.set(values, fresh);
    return fresh;
  }
}
