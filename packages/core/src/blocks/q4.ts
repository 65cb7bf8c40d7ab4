import type { BlockCodec } from './block-codec.ts';
import { f16Values, storeF16, u16 } from './half.ts';

const { fround } = Math;

/**
 * 32 elements: float16 scale d, then 16 bytes; the low nibbles are elements 0 to 15, the high ones 16 to 31. value = d (q - 8).
 * Encoding follows ggml's `quantize_row_q4_0_ref`: the element of largest magnitude maps to q = 0, that is -8 d.
 */
export const q4_0: BlockCodec = {
  format: 'q4_0',
  blockSize: 32,
  bytesPerBlock: 18,
  decode(bytes, byteOffset, out, outOffset, blocks) {
    const half = f16Values();
    for (let b = 0, p = byteOffset, o = outOffset; b < blocks; b++, p += 18, o += 32) {
      const d = half[u16(bytes, p)] as number;
      for (let j = 0; j < 16; j++) {
        const pair = bytes[p + 2 + j] as number;
        out[o + j] = d * ((pair & 15) - 8);
        out[o + 16 + j] = d * ((pair >>> 4) - 8);
      }
    }
  },
  encode(values, offset, bytes, byteOffset, blocks) {
    for (let b = 0, p = byteOffset, v = offset; b < blocks; b++, p += 18, v += 32) {
      let largest = 0;
      for (let j = 0; j < 32; j++) {
        const value = values[v + j] as number;
        if (Math.abs(value) > Math.abs(largest)) largest = value;
      }
      const d = fround(largest / -8);
      const inverse = d === 0 ? 0 : fround(1 / d);
      storeF16(d, bytes, p, 'q4_0');
      for (let j = 0; j < 16; j++) {
        const low = quant(fround(fround((values[v + j] as number) * inverse) + 8.5));
        const high = quant(fround(fround((values[v + 16 + j] as number) * inverse) + 8.5));
        bytes[p + 2 + j] = low | (high << 4);
      }
    }
  },
};

/**
 * 32 elements: float16 scale d and minimum m, then 16 bytes of nibbles as in q4_0. value = d q + m.
 * Encoding follows ggml's `quantize_row_q4_1_ref`: m is the least element, d the range over 15.
 */
export const q4_1: BlockCodec = {
  format: 'q4_1',
  blockSize: 32,
  bytesPerBlock: 20,
  decode(bytes, byteOffset, out, outOffset, blocks) {
    const half = f16Values();
    for (let b = 0, p = byteOffset, o = outOffset; b < blocks; b++, p += 20, o += 32) {
      const d = half[u16(bytes, p)] as number;
      const m = half[u16(bytes, p + 2)] as number;
      for (let j = 0; j < 16; j++) {
        const pair = bytes[p + 4 + j] as number;
        out[o + j] = d * (pair & 15) + m;
        out[o + 16 + j] = d * (pair >>> 4) + m;
      }
    }
  },
  encode(values, offset, bytes, byteOffset, blocks) {
    for (let b = 0, p = byteOffset, v = offset; b < blocks; b++, p += 20, v += 32) {
      let least = values[v] as number;
      let greatest = least;
      for (let j = 1; j < 32; j++) {
        const value = values[v + j] as number;
        if (value < least) least = value;
        if (value > greatest) greatest = value;
      }
      const d = fround(fround(greatest - least) / 15);
      const inverse = d === 0 ? 0 : fround(1 / d);
      storeF16(d, bytes, p, 'q4_1');
      storeF16(least, bytes, p + 2, 'q4_1');
      for (let j = 0; j < 16; j++) {
        const low = quant(fround(fround(fround((values[v + j] as number) - least) * inverse) + 0.5));
        const high = quant(fround(fround(fround((values[v + 16 + j] as number) - least) * inverse) + 0.5));
        bytes[p + 4 + j] = low | (high << 4);
      }
    }
  },
};

/** Truncates to 0..15. An inverse scale that overflowed gives infinity or NaN here: the block's d is then 0 and any code will do. */
function quant(value: number): number {
  const code = Math.trunc(value);
  return code > 15 ? 15 : code > 0 ? code : 0;
}
