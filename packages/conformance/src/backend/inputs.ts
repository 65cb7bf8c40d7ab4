/**
 * Seeded inputs: the same bits on every engine, named by what they are for. Some have millions of numbers: loops, since
 * `from` and `map` with a function take ten times as long.
 */
import { philox4x32 } from '@lowrank/core';

/** FNV-1a, to make a Philox key of a name. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}

/** 32-bit words of the stream called `name`. */
export function words(name: string, length: number): Uint32Array {
  const blocks = Math.ceil(length / 4);
  const out = new Uint32Array(blocks * 4);
  const key = hash(name);
  for (let i = 0; i < blocks; i++) philox4x32(key, 0, i, 0, 0, 0, out, i * 4);
  return out.subarray(0, length);
}

/** Uniform on [low, high), in steps that float32 holds exactly for [-1, 1). */
export function uniform(name: string, length: number, low = -1, high = 1): Float32Array {
  const bits = words(name, length);
  const out = new Float32Array(length);
  for (let i = 0; i < length; i++) out[i] = low + ((high - low) * (bits[i]! >>> 8)) / 2 ** 24;
  return out;
}

/** Numbers in (-1, 1) of so many significant bits at the most: what products may round their operands to keeps eight. */
export function ofFewBits(name: string, length: number, bits: number): Float32Array {
  const steps = 2 ** bits;
  return uniform(name, length).map((value) => (Math.trunc(value * (steps - 1)) + 0) / steps);
}

/** Integers in 0 .. limit - 1. */
export function integers(name: string, length: number, limit: number): Int32Array {
  const bits = words(name, length);
  const out = new Int32Array(length);
  for (let i = 0; i < length; i++) out[i] = bits[i]! % limit;
  return out;
}
