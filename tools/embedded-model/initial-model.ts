/** The model before its first step: sizes and random weights, as a GGUF in memory. */
import { RandomStream, type HostArray } from '@lowrank/core';
import {
  bytesSource,
  encodeGguf,
  openGguf,
  type GgufFile,
  type GgufTensorInput,
  type GgufValue,
} from '@lowrank/io-gguf';
import { tokenizerMetadata, vocabularySize } from './vocabulary.ts';

/** Rows are multiples of 32, so that every matrix can be stored as Q8_0, Q4_0 or Q4_1 too. */
const sizes = { layers: 4, width: 96, feedForward: 256, heads: 4, kvHeads: 2, context: 256 } as const;

/** What llama.cpp reads the sizes from. */
const architectureMetadata: Readonly<Record<string, GgufValue>> = {
  'general.type': { type: 'string', value: 'model' },
  'general.architecture': { type: 'string', value: 'llama' },
  'llama.vocab_size': { type: 'u32', value: vocabularySize },
  'llama.context_length': { type: 'u32', value: sizes.context },
  'llama.embedding_length': { type: 'u32', value: sizes.width },
  'llama.block_count': { type: 'u32', value: sizes.layers },
  'llama.feed_forward_length': { type: 'u32', value: sizes.feedForward },
  'llama.attention.head_count': { type: 'u32', value: sizes.heads },
  'llama.attention.head_count_kv': { type: 'u32', value: sizes.kvHeads },
  'llama.attention.layer_norm_rms_epsilon': { type: 'f32', value: Math.fround(1e-5) },
  'llama.rope.dimension_count': { type: 'u32', value: sizes.width / sizes.heads },
  'llama.rope.freq_base': { type: 'f32', value: 10_000 },
};

/**
 * An untrained model. Matrices are drawn from N(0, 1/in); those that end a branch of the residual stream are divided by
 * sqrt(2 layers) (Radford et al. 2019), so that its variance does not grow with depth. Norms are 1.
 */
export async function initialModel(seed: number): Promise<GgufFile> {
  const metadata = { ...architectureMetadata, ...tokenizerMetadata };
  return openGguf(bytesSource(await encodeGguf({ metadata, tensors: tensors(seed) }), 'the untrained model'));
}

function* tensors(seed: number): Generator<GgufTensorInput> {
  const { layers, width, feedForward, heads, kvHeads } = sizes;
  const kvWidth = (width / heads) * kvHeads;
  const matrix = (name: string, rows: number, columns: number, scale = 1): GgufTensorInput => ({
    name,
    array: f32([rows, columns], new RandomStream(seed, name).normal(rows * columns, scale / Math.sqrt(columns))),
  });
  const norm = (name: string): GgufTensorInput => ({ name, array: f32([width], new Float32Array(width).fill(1)) });
  const last = 1 / Math.sqrt(2 * layers);

  yield matrix('token_embd.weight', vocabularySize, width);
  for (let n = 0; n < layers; n++) {
    yield norm(`blk.${n}.attn_norm.weight`);
    yield matrix(`blk.${n}.attn_q.weight`, width, width);
    yield matrix(`blk.${n}.attn_k.weight`, kvWidth, width);
    yield matrix(`blk.${n}.attn_v.weight`, kvWidth, width);
    yield matrix(`blk.${n}.attn_output.weight`, width, width, last);
    yield norm(`blk.${n}.ffn_norm.weight`);
    yield matrix(`blk.${n}.ffn_gate.weight`, feedForward, width);
    yield matrix(`blk.${n}.ffn_up.weight`, feedForward, width);
    yield matrix(`blk.${n}.ffn_down.weight`, width, feedForward, last);
  }
  yield norm('output_norm.weight');
}

function f32(shape: readonly number[], data: Float32Array): HostArray {
  return { format: 'f32', shape, data };
}
