/**
 * Which elements dropout keeps. Element (row, column) is decided by 16 bits of
 * Philox(key, counter = [floor(column / 8), row, stream0, stream1]): word w = floor(column % 8 / 2), its low half for
 * even columns and its high half for odd ones. Kept when those bits are >= threshold.
 */
import { philox4x32 } from './philox.ts';

/** Bits below this are dropped: the probability in 65,536ths. */
export function dropoutThreshold(probability: number): number {
  return Math.round(probability * 65536);
}

/** 1 where kept, 0 where dropped: [rows, columns]. */
export function dropoutMask(
  rows: number,
  columns: number,
  probability: number,
  key: readonly [number, number],
  stream: readonly [number, number],
): Float32Array {
  const mask = new Float32Array(rows * columns);
  const threshold = dropoutThreshold(probability);
  const words = new Uint32Array(4);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block * 8 < columns; block++) {
      philox4x32(key[0], key[1], block, row, stream[0], stream[1], words);
      const end = Math.min(8, columns - block * 8);
      for (let i = 0; i < end; i++) {
        const bits = (words[i >> 1]! >>> (16 * (i & 1))) & 0xffff;
        mask[row * columns + block * 8 + i] = bits >= threshold ? 1 : 0;
      }
    }
  }
  return mask;
}
