import type { BlockCodec } from './block-codec.ts';
import { f16Bits, f32BitsToBf16Bits, f32BitsToF16Bits, u16 } from './half.ts';

/** IEEE float16, one element a block. Rounds to nearest even; what overflows becomes infinity. */
export const f16: BlockCodec = {
  format: 'f16',
  blockSize: 1,
  bytesPerBlock: 2,
  decode(bytes, byteOffset, out, outOffset, blocks) {
    const table = f16Bits();
    const bits = bitsOf(out);
    for (let i = 0; i < blocks; i++) bits[outOffset + i] = table[u16(bytes, byteOffset + 2 * i)] as number;
  },
  encode(values, offset, bytes, byteOffset, blocks) {
    const bits = bitsOf(values);
    for (let i = 0; i < blocks; i++) storeU16(bytes, byteOffset + 2 * i, f32BitsToF16Bits(bits[offset + i] as number));
  },
};

/** The upper half of a float32, one element a block. Rounds to nearest even. */
export const bf16: BlockCodec = {
  format: 'bf16',
  blockSize: 1,
  bytesPerBlock: 2,
  decode(bytes, byteOffset, out, outOffset, blocks) {
    const bits = bitsOf(out);
    for (let i = 0; i < blocks; i++) bits[outOffset + i] = u16(bytes, byteOffset + 2 * i) << 16;
  },
  encode(values, offset, bytes, byteOffset, blocks) {
    const bits = bitsOf(values);
    for (let i = 0; i < blocks; i++) storeU16(bytes, byteOffset + 2 * i, f32BitsToBf16Bits(bits[offset + i] as number));
  },
};

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

function storeU16(bytes: Uint8Array, byteOffset: number, value: number): void {
  bytes[byteOffset] = value & 0xff;
  bytes[byteOffset + 1] = value >>> 8;
}
