import type { BlockCodec } from './block-codec.ts';
import { f16Values, storeF16, u16 } from './half.ts';

const { fround } = Math;

/**
 * 32 elements: float16 scale d, then 32 signed bytes. value = d q.
 * Encoding follows ggml's `quantize_row_q8_0_ref`: d = max|x| / 127, codes rounded half away from zero.
 */
export const q8_0: BlockCodec = {
  format: 'q8_0',
  blockSize: 32,
  bytesPerBlock: 34,
  decode(bytes, byteOffset, out, outOffset, blocks) {
    const half = f16Values();
    for (let b = 0, p = byteOffset, o = outOffset; b < blocks; b++, p += 34, o += 32) {
      const d = half[u16(bytes, p)] as number;
      for (let j = 0; j < 32; j++) out[o + j] = d * (((bytes[p + 2 + j] as number) << 24) >> 24);
    }
  },
  encode(values, offset, bytes, byteOffset, blocks) {
    for (let b = 0, p = byteOffset, v = offset; b < blocks; b++, p += 34, v += 32) {
      let largest = 0;
      for (let j = 0; j < 32; j++) largest = Math.max(largest, Math.abs(values[v + j] as number));
      const d = fround(largest / 127);
      const inverse = d === 0 ? 0 : fround(1 / d);
      storeF16(d, bytes, p, 'q8_0');
      for (let j = 0; j < 32; j++) {
        const scaled = fround((values[v + j] as number) * inverse);
        // An inverse that overflowed gives infinity or NaN; d is then 0 in float16 and any code will do.
        const code = Math.min(127, Math.floor(Math.abs(scaled) + 0.5));
        bytes[p + 2 + j] = scaled < 0 ? -code : code;
      }
    }
  },
};
