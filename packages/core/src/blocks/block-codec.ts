import type { BlockFormat } from '../host/arrays.ts';

/**
 * The formats whose blocks carry their own scales, so that one pointer to bytes is enough to decode them.
 * nf4 and fp4 keep their scales in arrays of their own (`four-bit-payload.ts`).
 */
export type InlineBlockFormat = Exclude<BlockFormat, 'nf4' | 'fp4'>;

/**
 * How one block format is stored. Blocks lie along the last axis of an array, little-endian.
 *
 * Decoding gives the bits of ggml's float32 reference (`dequantize_row_*`). The products are formed in float64 here and
 * rounded once by the store into the `Float32Array`. That is the same: a scale has at most 11 significant bits, a
 * sub-scale 8 and a quant 6, so each product is exact in float32 (24 bits) and every sum of two is exact in float64; the
 * reference, too, rounds only once, in the last addition.
 */
export interface BlockCodec {
  readonly format: InlineBlockFormat;
  /** Elements in a block. */
  readonly blockSize: number;
  readonly bytesPerBlock: number;
  /** Decodes `blocks` blocks from `bytes` at `byteOffset` (of any alignment) into `out` at `outOffset`. Checks no bounds. */
  readonly decode: (
    bytes: Uint8Array,
    byteOffset: number,
    out: Float32Array,
    outOffset: number,
    blocks: number,
  ) => void;
  /**
   * Encodes `blocks` blocks of finite values; absent for formats that are only read. Throws `CORE_NOT_FINITE` where a
   * block's scale does not fit into float16. Checks no bounds.
   */
  readonly encode?: BlockEncoder;
}

export type BlockEncoder = (
  values: Float32Array,
  offset: number,
  bytes: Uint8Array,
  byteOffset: number,
  blocks: number,
) => void;
