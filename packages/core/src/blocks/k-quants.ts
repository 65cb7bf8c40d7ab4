import type { BlockCodec } from './block-codec.ts';
import { f16Values, u16 } from './half.ts';

// "K" formats: super-blocks of 256 elements, whose sub-blocks of 16 or 32 have small integer scales (and minima) of their own,
// which one or two float16 numbers scale. Layouts as in ggml's ggml-common.h and ggml-quants.c.

/** 16 sub-scales of 4 bits with 4-bit minima, 2-bit quants, d, dmin. value = d scale q - dmin min. */
export const q2_k: BlockCodec = {
  format: 'q2_k',
  blockSize: 256,
  bytesPerBlock: 84,
  decode(bytes, byteOffset, out, outOffset, blocks) {
    const half = f16Values();
    for (let b = 0, p = byteOffset, o = outOffset; b < blocks; b++, p += 84, o += 256) {
      const d = half[u16(bytes, p + 80)] as number;
      const dmin = half[u16(bytes, p + 82)] as number;
      for (let sub = 0; sub < 16; sub++) {
        const packed = bytes[p + sub] as number;
        const scale = d * (packed & 15);
        const min = dmin * (packed >>> 4);
        // Sub-block `sub` holds elements 16 sub to 16 sub + 15: quarter `shift` of half `sub >> 3`.
        const shift = sub & 6;
        const quants = p + 16 + (sub >>> 3) * 32 + (sub & 1) * 16;
        const start = o + sub * 16;
        for (let j = 0; j < 16; j++) out[start + j] = scale * (((bytes[quants + j] as number) >>> shift) & 3) - min;
      }
    }
  },
};

/** 32 bytes of third bits, 2-bit quants, 16 packed 6-bit scales, d. value = d (scale - 32) (q - 4), the third bit being worth 4. */
export const q3_k: BlockCodec = {
  format: 'q3_k',
  blockSize: 256,
  bytesPerBlock: 110,
  decode(bytes, byteOffset, out, outOffset, blocks) {
    const half = f16Values();
    for (let b = 0, p = byteOffset, o = outOffset; b < blocks; b++, p += 110, o += 256) {
      const d = half[u16(bytes, p + 108)] as number;
      for (let sub = 0; sub < 16; sub++) {
        // Four low bits: two scales a byte, 8 apart. Two high bits: four scales a byte, 4 apart.
        const low = ((bytes[p + 96 + (sub & 7)] as number) >>> ((sub >>> 3) * 4)) & 15;
        const high = ((bytes[p + 104 + (sub & 3)] as number) >>> ((sub >>> 2) * 2)) & 3;
        const scale = d * ((low | (high << 4)) - 32);
        const shift = sub & 6;
        const bit = sub >>> 1;
        const thirds = p + (sub & 1) * 16;
        const quants = p + 32 + (sub >>> 3) * 32 + (sub & 1) * 16;
        const start = o + sub * 16;
        for (let j = 0; j < 16; j++) {
          const two = ((bytes[quants + j] as number) >>> shift) & 3;
          const third = ((bytes[thirds + j] as number) >>> bit) & 1;
          out[start + j] = scale * ((two | (third << 2)) - 4);
        }
      }
    }
  },
};

/** Scale `sub` (0 to 7) of the 12 bytes that q4_k and q5_k pack eight 6-bit scales and minima in. */
function packedScale(bytes: Uint8Array, p: number, sub: number): number {
  if (sub < 4) return (bytes[p + sub] as number) & 63;
  return ((bytes[p + sub + 4] as number) & 15) | (((bytes[p + sub - 4] as number) >>> 6) << 4);
}

/** Minimum `sub` (0 to 7) of the same 12 bytes. */
function packedMin(bytes: Uint8Array, p: number, sub: number): number {
  if (sub < 4) return (bytes[p + sub + 4] as number) & 63;
  return ((bytes[p + sub + 4] as number) >>> 4) | (((bytes[p + sub] as number) >>> 6) << 4);
}

/** d, dmin, eight 6-bit scales and minima, 4-bit quants. value = d scale q - dmin min. */
export const q4_k: BlockCodec = {
  format: 'q4_k',
  blockSize: 256,
  bytesPerBlock: 144,
  decode(bytes, byteOffset, out, outOffset, blocks) {
    const half = f16Values();
    for (let b = 0, p = byteOffset, o = outOffset; b < blocks; b++, p += 144, o += 256) {
      const d = half[u16(bytes, p)] as number;
      const dmin = half[u16(bytes, p + 2)] as number;
      for (let sub = 0; sub < 8; sub++) {
        const scale = d * packedScale(bytes, p + 4, sub);
        const min = dmin * packedMin(bytes, p + 4, sub);
        const quants = p + 16 + (sub >>> 1) * 32;
        const shift = (sub & 1) * 4;
        const start = o + sub * 32;
        for (let j = 0; j < 32; j++) out[start + j] = scale * (((bytes[quants + j] as number) >>> shift) & 15) - min;
      }
    }
  },
};

/** As q4_k, with 32 bytes of fifth bits before the nibbles. */
export const q5_k: BlockCodec = {
  format: 'q5_k',
  blockSize: 256,
  bytesPerBlock: 176,
  decode(bytes, byteOffset, out, outOffset, blocks) {
    const half = f16Values();
    for (let b = 0, p = byteOffset, o = outOffset; b < blocks; b++, p += 176, o += 256) {
      const d = half[u16(bytes, p)] as number;
      const dmin = half[u16(bytes, p + 2)] as number;
      for (let sub = 0; sub < 8; sub++) {
        const scale = d * packedScale(bytes, p + 4, sub);
        const min = dmin * packedMin(bytes, p + 4, sub);
        const fifths = p + 16;
        const quants = p + 48 + (sub >>> 1) * 32;
        const shift = (sub & 1) * 4;
        const start = o + sub * 32;
        for (let j = 0; j < 32; j++) {
          const four = ((bytes[quants + j] as number) >>> shift) & 15;
          const fifth = ((bytes[fifths + j] as number) >>> sub) & 1;
          out[start + j] = scale * (four | (fifth << 4)) - min;
        }
      }
    }
  },
};

/** Low nibbles, upper bit pairs, 16 signed 8-bit scales, d. value = d scale (q - 32). */
export const q6_k: BlockCodec = {
  format: 'q6_k',
  blockSize: 256,
  bytesPerBlock: 210,
  decode(bytes, byteOffset, out, outOffset, blocks) {
    const half = f16Values();
    for (let b = 0, p = byteOffset, o = outOffset; b < blocks; b++, p += 210, o += 256) {
      const d = half[u16(bytes, p + 208)] as number;
      for (let sub = 0; sub < 16; sub++) {
        const scale = d * (((bytes[p + 192 + sub] as number) << 24) >> 24);
        const quarter = (sub >>> 1) & 3;
        const within = (sub & 1) * 16;
        const lows = p + (sub >>> 3) * 64 + (quarter & 1) * 32 + within;
        const lowShift = (quarter >>> 1) * 4;
        const highs = p + 128 + (sub >>> 3) * 32 + within;
        const highShift = quarter * 2;
        const start = o + sub * 16;
        for (let j = 0; j < 16; j++) {
          const low = ((bytes[lows + j] as number) >>> lowShift) & 15;
          const high = ((bytes[highs + j] as number) >>> highShift) & 3;
          out[start + j] = scale * ((low | (high << 4)) - 32);
        }
      }
    }
  },
};
