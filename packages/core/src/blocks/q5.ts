import type { BlockCodec } from './block-codec.ts';
import { f16Values, u16 } from './half.ts';

function u32(bytes: Uint8Array, byteOffset: number): number {
  return u16(bytes, byteOffset) | (u16(bytes, byteOffset + 2) << 16);
}

/** 32 elements: float16 scale d, 32 fifth bits, then 16 bytes of nibbles (low ones first). value = d (q - 16). */
export const q5_0: BlockCodec = {
  format: 'q5_0',
  blockSize: 32,
  bytesPerBlock: 22,
  decode(bytes, byteOffset, out, outOffset, blocks) {
    const half = f16Values();
    for (let b = 0, p = byteOffset, o = outOffset; b < blocks; b++, p += 22, o += 32) {
      const d = half[u16(bytes, p)] as number;
      const fifth = u32(bytes, p + 2);
      for (let j = 0; j < 16; j++) {
        const pair = bytes[p + 6 + j] as number;
        out[o + j] = d * (((pair & 15) | (((fifth >>> j) & 1) << 4)) - 16);
        out[o + 16 + j] = d * (((pair >>> 4) | (((fifth >>> (j + 16)) & 1) << 4)) - 16);
      }
    }
  },
};

/** 32 elements: float16 scale d and minimum m, 32 fifth bits, then 16 bytes of nibbles (low ones first). value = d q + m. */
export const q5_1: BlockCodec = {
  format: 'q5_1',
  blockSize: 32,
  bytesPerBlock: 24,
  decode(bytes, byteOffset, out, outOffset, blocks) {
    const half = f16Values();
    for (let b = 0, p = byteOffset, o = outOffset; b < blocks; b++, p += 24, o += 32) {
      const d = half[u16(bytes, p)] as number;
      const m = half[u16(bytes, p + 2)] as number;
      const fifth = u32(bytes, p + 4);
      for (let j = 0; j < 16; j++) {
        const pair = bytes[p + 8 + j] as number;
        out[o + j] = d * ((pair & 15) | (((fifth >>> j) & 1) << 4)) + m;
        out[o + 16 + j] = d * ((pair >>> 4) | (((fifth >>> (j + 16)) & 1) << 4)) + m;
      }
    }
  },
};
