/**
 * How an nf4 or fp4 array is stored: one payload that describes itself, little-endian. With n elements in all:
 *
 * - header, 16 bytes: u32 block size (32, 64, 128, 256), u32 1 where the scales are quantized again (else 0), f32 offset of
 *   those (else 0), u32 0;
 * - codes: ceil(n / 2) bytes, then zeros up to a multiple of 4. Element i of the array, flattened row by row, is in byte i >> 1:
 *   in the high nibble where i is even;
 * - scales (absmax), one a block: f32 each; or, quantized again, u8 each and zeros up to a multiple of 4, then an f32 for each 256
 *   of them.
 *
 * Blocks run along the flattened array: one may cross rows, and the last may be short.
 */
import { CoreError } from '../errors/core-error.ts';

export const fourBitHeaderBytes = 16;

/** Scales that share one f32 when quantized again. */
export const nestedBlockSize = 256;

/** Elements that share a scale. */
export const fourBitBlockSizes = [32, 64, 128, 256] as const;
export type FourBitBlockSize = (typeof fourBitBlockSizes)[number];

export interface FourBitPayload {
  readonly blockSize: FourBitBlockSize;
  readonly doubleQuantization: boolean;
  /** What is added to each scale that was quantized again; else 0. */
  readonly offset: number;
  /** Number of blocks, and so of scales. */
  readonly blocks: number;
  /** Where the scales begin, in bytes. */
  readonly scalesAt: number;
  /** Where the scales' own f32 scales begin; without double quantization the end. */
  readonly nestedAt: number;
  readonly byteLength: number;
}

/** The layout of a payload of `elements` values. Checks nothing. */
export function layOut(
  elements: number,
  blockSize: FourBitBlockSize,
  doubleQuantization: boolean,
  offset = 0,
): FourBitPayload {
  const blocks = Math.ceil(elements / blockSize);
  const scalesAt = fourBitHeaderBytes + words(Math.ceil(elements / 2));
  const nestedAt = scalesAt + (doubleQuantization ? words(blocks) : 4 * blocks);
  const byteLength = nestedAt + (doubleQuantization ? 4 * Math.ceil(blocks / nestedBlockSize) : 0);
  return { blockSize, doubleQuantization, offset, blocks, scalesAt, nestedAt, byteLength };
}

const words = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/**
 * Reads the header of a payload of `elements` values.
 * @param bytes the payload, or at least its first 16 bytes.
 * @throws CoreError CORE_FORMAT where that is no header.
 */
export function readFourBitHeader(bytes: Uint8Array, elements: number): FourBitPayload {
  if (bytes.length < fourBitHeaderBytes) {
    throw new CoreError(
      'CORE_FORMAT',
      `An nf4 or fp4 array begins with a header of ${fourBitHeaderBytes} bytes; there are ${bytes.length}.`,
      { value: bytes.length },
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, fourBitHeaderBytes);
  const [size, double, reserved] = [0, 4, 12].map((at) => view.getUint32(at, true)) as [number, number, number];
  const offset = view.getFloat32(8, true);
  const blockSize = fourBitBlockSizes.find((known) => known === size);
  if (blockSize === undefined || double > 1 || reserved !== 0 || !Number.isFinite(offset) || (double === 0 && offset)) {
    throw new CoreError(
      'CORE_FORMAT',
      `The header of an nf4 or fp4 array says: blocks of ${size}, double quantization ${double}, offset ${offset}, ${reserved}. Blocks are of ${fourBitBlockSizes.join(', ')}, the second is 0 or 1, the offset 0 without double quantization, the last 0.`,
      { value: { blockSize: size, doubleQuantization: double, offset, reserved } },
    );
  }
  return layOut(elements, blockSize, double === 1, offset);
}

/** Fills in the header. */
export function writeFourBitHeader(bytes: Uint8Array, { blockSize, doubleQuantization, offset }: FourBitPayload): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, fourBitHeaderBytes);
  view.setUint32(0, blockSize, true);
  view.setUint32(4, Number(doubleQuantization), true);
  view.setFloat32(8, offset, true);
  view.setUint32(12, 0, true);
}
