import type { BlockCodec, InlineBlockFormat } from './block-codec.ts';
import { bf16, f16 } from './half-codecs.ts';
import { q2_k, q3_k, q4_k, q5_k, q6_k } from './k-quants.ts';
import { q4_0, q4_1 } from './q4.ts';
import { q5_0, q5_1 } from './q5.ts';
import { q8_0 } from './q8.ts';

/** Every format whose blocks decode by themselves. */
export const blockFormats: Readonly<Record<InlineBlockFormat, BlockCodec>> = {
  f16,
  bf16,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
};

/** Whether a format has an entry in {@link blockFormats}. */
export function isInlineBlockFormat(format: string): format is InlineBlockFormat {
  return Object.hasOwn(blockFormats, format);
}
