/** Blocks as ONNX has them: integers and float16 scales apart, decoded by DequantizeLinear and Cast. */
import { blockFormats } from '@lowrank/core';
import type { BlockFormat } from '@lowrank/core';
import type { ElementType, Graph } from './model.ts';

/** Formats with a counterpart in ONNX. Blocks of 5 bits and of 256 weights have none. */
export const onnxFormats: readonly BlockFormat[] = ['f16', 'bf16', 'q4_0', 'q4_1', 'q8_0'];

/** [rows, columns] in float32. */
export function dequantized(g: Graph, format: BlockFormat, bytes: Uint8Array, rows: number, columns: number): string {
  const shape = [rows, columns];
  if (format === 'f16' || format === 'bf16') {
    const type: ElementType = format === 'f16' ? 'float16' : 'bfloat16';
    return g.cast(g.constant({ type, shape, bytes }), 'float32');
  }
  const { bytesPerBlock } = blockFormats[format as 'q4_0'];
  const perRow = columns / 32;
  const blocks = rows * perRow;
  /** Bytes from..to of every block (ggml-common.h: scale, minimum, weights). */
  const field = (from: number, to: number): Uint8Array => {
    const out = new Uint8Array(blocks * (to - from));
    for (let b = 0; b < blocks; b++) {
      out.set(bytes.subarray(b * bytesPerBlock + from, b * bytesPerBlock + to), b * (to - from));
    }
    return out;
  };
  const half = (at: number): string =>
    g.cast(g.constant({ type: 'float16', shape: [rows, perRow], bytes: field(at, at + 2) }), 'float32');
  const decode = (weights: string, zero?: string): string =>
    g.node('DequantizeLinear', [weights, half(0), ...(zero === undefined ? [] : [zero])], { axis: 1, block_size: 32 });

  if (format === 'q8_0') return decode(g.constant({ type: 'int8', shape, bytes: field(2, 34) }));
  if (format === 'q4_0') {
    const eight = g.constant({
      type: 'uint4',
      shape: [rows, perRow],
      bytes: new Uint8Array(Math.ceil(blocks / 2)).fill(0x88),
    });
    return decode(g.constant({ type: 'uint4', shape, bytes: inOrder(field(2, 18)) }), eight);
  }
  // q4_1: scale, minimum; the minimum is added to each of its block's 32.
  const scaled = decode(g.constant({ type: 'uint4', shape, bytes: inOrder(field(4, 20)) }));
  const byBlock = g.reshape(scaled, [rows, perRow, 32]);
  return g.reshape(g.node('Add', [byBlock, g.reshape(half(2), [rows, perRow, 1])]), shape);
}

/** ggml puts weight i and weight i + 16 of a block into one byte, ONNX neighbours; both the first into the low half. */
function inOrder(packed: Uint8Array): Uint8Array {
  const out = new Uint8Array(packed.length);
  for (let block = 0; block < packed.length; block += 16) {
    for (let i = 0; i < 16; i += 2) {
      const [first, second] = [packed[block + i]!, packed[block + i + 1]!];
      out[block + i / 2] = (first & 15) | ((second & 15) << 4);
      out[block + 8 + i / 2] = (first >> 4) | (second & 0xf0);
    }
  }
  return out;
}
