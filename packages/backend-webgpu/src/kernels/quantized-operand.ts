/** What the kernels over quantized matrices share on the host's side. */
import type { BlockFormat, Storage } from '@lowrank/core';
import type { Device } from '../device.ts';
import { decoderOf } from '../wgsl/blocks/index.ts';

/** The operands that a decoder reads. */
export function blockOperands(device: Device, format: BlockFormat, blocks: Storage): Record<string, Storage> {
  const { tables } = decoderOf(format);
  return tables === undefined ? { blocks } : { blocks, tables: device.list(tables) };
}

/** The parameters that a decoder reads. */
export function blockParameters(format: BlockFormat, rows: number, columns: number): Record<string, number> {
  return decoderOf(format).tables === undefined ? {} : { elements: rows * columns, zero: 0 };
}
