/** Random blocks of every format: any bit pattern is a block as long as its float16 scales are ordinary numbers. */
import { blockFormats, encodeArray, isFourBitFormat, isInlineBlockFormat, quantize4bit } from '@lowrank/core';
import type { BlockFormat, FourBitFormat, FourBitOptions } from '@lowrank/core';
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

/** A row's length is a multiple of this: 1 for nf4 and fp4, whose blocks do not mind rows. */
export function blockSizeOf(format: BlockFormat): number | undefined {
  if (isFourBitFormat(format)) return 1;
  return isInlineBlockFormat(format) ? blockFormats[format].blockSize : undefined;
}

/** Where the codes of nf4 and fp4 begin. */
const codesAt = 16;

/** [rows, columns] of nf4 or fp4: scales as a quantizer makes them, and any codes at all. */
export function randomFourBit(
  name: string,
  rows: number,
  columns: number,
  options: FourBitOptions & { readonly format: FourBitFormat },
): Uint8Array {
  const n = rows * columns;
  // Blocks of different size, so that scales are not all near 1.
  const values = uniform(name, n).map((value, i) => value * (1 + (Math.floor(i / 32) % 7)));
  const bytes = quantize4bit(values, [rows, columns], options).data;
  bytes.set(topBytes(words(`${name} codes`, Math.ceil(n / 2))), codesAt);
  return bytes;
}

function topBytes(bits: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(bits.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = bits[i]! >>> 24;
  return bytes;
}

/** [rows, columns] of `format`; columns a multiple of its block size. */
export function randomBlocks(name: string, format: BlockFormat, rows: number, columns: number): Uint8Array {
  if (format === 'f16' || format === 'bf16') {
    return encodeArray(uniform(name, rows * columns), [rows, columns], format).data as Uint8Array;
  }
  if (isFourBitFormat(format)) return randomFourBit(name, rows, columns, { format });
  if (!isInlineBlockFormat(format)) throw new RangeError(`${format} has no self-contained blocks`);
  const { blockSize, bytesPerBlock } = blockFormats[format];
  const blocks = (rows * columns) / blockSize;
  const bytes = topBytes(words(name, blocks * bytesPerBlock));
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
