/** The decoder of each block format. */
import { dynamicMap, fourBitCodes, type BlockFormat, type FourBitFormat } from '@lowrank/core';
import type { OperandType, ParameterType } from '../../device/program.ts';
import { fourBit, prepareFourBit } from './four-bit.ts';
import { bf16, f16 } from './halves.ts';
import { q2_k, q3_k, q4_k, q5_k, q6_k } from './k-quants.ts';
import { q4_0, q4_1, q5_0, q5_1, q8_0 } from './q4-q8.ts';
import { decodeFour, words } from './words.ts';

/** What a program needs to call `decode4`, `scaleOf` and `quantsOf`. */
export interface Decoder {
  readonly operands: Readonly<Record<string, OperandType>>;
  readonly parameters: Readonly<Record<string, ParameterType>>;
  readonly declarations: string;
  /** At the beginning of the body. */
  readonly prepare: string;
  /** What to bind as the operand `tables`. */
  readonly tables?: Uint32Array;
}

const decoders: Readonly<Record<BlockFormat, Decoder>> = {
  f16: inline(f16),
  bf16: inline(bf16),
  q4_0: inline(q4_0 + decodeFour),
  q4_1: inline(q4_1 + decodeFour),
  q5_0: inline(q5_0 + decodeFour),
  q5_1: inline(q5_1 + decodeFour),
  q8_0: inline(q8_0 + decodeFour),
  q2_k: inline(q2_k + decodeFour),
  q3_k: inline(q3_k + decodeFour),
  q4_k: inline(q4_k + decodeFour),
  q5_k: inline(q5_k + decodeFour),
  q6_k: inline(q6_k + decodeFour),
  nf4: withTables('nf4'),
  fp4: withTables('fp4'),
};

/** Formats that `matmulQuantized` and `gatherQuantized` work on. */
export const blockFormatsOfKernels: readonly BlockFormat[] = Object.keys(decoders) as BlockFormat[];

export function decoderOf(format: BlockFormat): Decoder {
  return decoders[format];
}

function inline(source: string): Decoder {
  return { operands: { blocks: 'read u32' }, parameters: {}, declarations: words + source, prepare: '' };
}

function withTables(format: FourBitFormat): Decoder {
  const values = Float32Array.of(...fourBitCodes[format].values, ...dynamicMap());
  return {
    operands: { blocks: 'read u32', tables: 'read u32' },
    parameters: { elements: 'u32', zero: 'u32' },
    declarations: words + fourBit,
    prepare: prepareFourBit,
    tables: new Uint32Array(values.buffer),
  };
}
