/** The smallest llama that llama.cpp loads, around a vocabulary: tokenizers can be compared without a real model. */
import { writeGguf } from '@lowrank/io-gguf';
import type { GgufValue } from '@lowrank/io-gguf';

const WIDTH = 32;

const u32 = (value: number): GgufValue => ({ type: 'u32', value });

/** Writes such a file; `tokenizer` holds the entries under `tokenizer.`. */
export async function writeVocabularyGguf(path: string, tokenizer: ReadonlyMap<string, GgufValue>): Promise<void> {
  const tokens = tokenizer.get('tokenizer.ggml.tokens')?.value as readonly string[];
  const metadata: Record<string, GgufValue> = {
    'general.architecture': { type: 'string', value: 'llama' },
    'llama.context_length': u32(64),
    'llama.block_count': u32(1),
    'llama.embedding_length': u32(WIDTH),
    'llama.feed_forward_length': u32(WIDTH),
    'llama.attention.head_count': u32(1),
    'llama.attention.head_count_kv': u32(1),
    'llama.rope.dimension_count': u32(WIDTH),
    'llama.vocab_size': u32(tokens.length),
    'llama.attention.layer_norm_rms_epsilon': { type: 'f32', value: 1e-5 },
    ...Object.fromEntries(tokenizer),
  };
  const zeros = (name: string, ...shape: number[]) => ({
    name: `${name}.weight`,
    array: { format: 'f32' as const, shape, data: new Float32Array(shape.reduce((size, length) => size * length)) },
  });
  const square = ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'];
  await writeGguf(path, {
    metadata,
    tensors: [
      zeros('token_embd', tokens.length, WIDTH),
      zeros('output_norm', WIDTH),
      zeros('blk.0.attn_norm', WIDTH),
      zeros('blk.0.ffn_norm', WIDTH),
      ...square.map((name) => zeros(`blk.0.${name}`, WIDTH, WIDTH)),
    ],
  });
}
