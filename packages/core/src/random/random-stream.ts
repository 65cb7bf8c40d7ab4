import { log, cosPi, sinPi } from '../numerics/elementary.ts';
import { philox4x32 } from './philox.ts';

/** 32-bit FNV-1a of a name's UTF-16 code units: a fixed number for a path or purpose. */
export function nameHash(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
  }
  return hash >>> 0;
}

/** A seed as a Philox key: its low and high 32 bits. */
export function seedKey(seed: number): readonly [number, number] {
  return [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
}

/**
 * A sequence of random numbers that seed and name alone decide, the same bits on every JavaScript engine.
 * Its whole state is `counter`: how many blocks of four words were used.
 */
export class RandomStream {
  readonly #key: readonly [number, number];
  readonly #stream: number;
  readonly #words = new Uint32Array(4);
  #left = 0;
  counter = 0;

  constructor(seed: number, name: string) {
    this.#key = seedKey(seed);
    this.#stream = nameHash(name);
  }

  /** Uniform in 0 .. 2^32 - 1. */
  nextU32(): number {
    if (this.#left === 0) {
      philox4x32(
        this.#key[0],
        this.#key[1],
        this.counter >>> 0,
        Math.floor(this.counter / 2 ** 32),
        this.#stream,
        0x6c6f7772,
        this.#words,
      );
      this.counter++;
      this.#left = 4;
    }
    this.#left--;
    return this.#words[3 - this.#left]!;
  }

  /** Uniform in [0, 1), with 53 bits. */
  nextUniform(): number {
    const high = this.nextU32() >>> 5;
    const low = this.nextU32() >>> 6;
    return (high * 2 ** 26 + low) * 2 ** -53;
  }

  /** A whole number in 0 .. limit - 1, without bias. */
  nextInteger(limit: number): number {
    const usable = 2 ** 32 - (2 ** 32 % limit);
    for (;;) {
      const word = this.nextU32();
      if (word < usable) return word % limit;
    }
  }

  /** f32 values uniform in [low, high). */
  uniform(length: number, low: number, high: number): Float32Array {
    return Float32Array.from({ length }, () => low + (high - low) * this.nextUniform());
  }

  /** f32 values from N(0, std^2) (Box & Muller 1958). */
  normal(length: number, std = 1): Float32Array {
    const values = new Float32Array(length);
    for (let i = 0; i < length; i += 2) {
      // 1 - u lies in (0, 1], where the logarithm is finite.
      const radius = std * Math.sqrt(-2 * log(1 - this.nextUniform()));
      const turn = 2 * this.nextUniform();
      values[i] = radius * cosPi(turn);
      if (i + 1 < length) values[i + 1] = radius * sinPi(turn);
    }
    return values;
  }
}
