/** Random blocks of every format: any bit pattern is a block as long as its float16 scales are ordinary numbers. */
import { blockFormats, encodeArray, isInlineBlockFormat } from '@lowrank/core';
import type { BlockFormat } from '@lowrank/core';
import { uniform, words } from './inputs.ts';

/** Where a block's float16 scales (and minima) stand, in bytes (ggml-common.h). */
const scaleOffsets: Partial<Record<BlockFormat, readonly number[]>> = {
  q4_0: [0],
  q4_1: [0, 2],
  q5_0: [0],
  q5_1: [0, 2],
  q8_0: [0],
  q2_k: [80, 82],
  q3_k: [108],
  q4_k: [0, 2],
  q5_k: [0, 2],
  q6_k: [208],
};

/** Elements in a block; undefined for a format that core does not decode from its blocks alone. */
export function blockSizeOf(format: BlockFormat): number | undefined {
  return isInlineBlockFormat(format) ? blockFormats[format].blockSize : undefined;
}

/** [rows, columns] of `format`; columns a multiple of its block size. */
export function randomBlocks(name: string, format: BlockFormat, rows: number, columns: number): Uint8Array {
  if (format === 'f16' || format === 'bf16') {
    return encodeArray(uniform(name, rows * columns), [rows, columns], format).data as Uint8Array;
  }
  if (!isInlineBlockFormat(format)) throw new RangeError(`${format} has no self-contained blocks`);
  const { blockSize, bytesPerBlock } = blockFormats[format];
  const blocks = (rows * columns) / blockSize;
  const bytes = Uint8Array.from(words(name, blocks * bytesPerBlock), (word) => word >>> 24);
  for (let block = 0; block < blocks; block++) {
    for (const offset of scaleOffsets[format]!) {
      // The high byte: sign kept, exponent 2^-6 to 2^-4, two bits of the fraction kept.
      const at = block * bytesPerBlock + offset + 1;
      const exponent = 9 + (((bytes[at]! >> 2) & 31) % 3);
      bytes[at] = (bytes[at]! & 0x83) | (exponent << 2);
    }
  }
  return bytes;
}
