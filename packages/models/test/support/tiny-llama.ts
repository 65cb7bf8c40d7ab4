/** Random llamas small enough to be computed by hand, as GGUFs in memory. */
import { RandomStream, type HostArray } from '@lowrank/core';
import { bytesSource, encodeGguf, openGguf, type GgufFile, type GgufValue } from '@lowrank/io-gguf';

export interface TinyLlama {
  readonly layers?: number;
  readonly width?: number;
  readonly heads?: number;
  readonly kvHeads?: number;
  readonly feedForward?: number;
  readonly vocabulary?: number;
  readonly contextLength?: number;
  /** Whether the output head is the embedding's table. Default true. */
  readonly tied?: boolean;
  /** Llama 3's `rope_freqs`, a divisor for each pair. */
  readonly ropeFactors?: readonly number[];
  /** Metadata to set or (undefined) leave out. */
  readonly metadata?: Readonly<Record<string, GgufValue | undefined>>;
  /** Tensors to set or (undefined) leave out. */
  readonly tensors?: Readonly<Record<string, HostArray | undefined>>;
}

const integer = (value: number): GgufValue => ({ type: 'u32', value });
const real = (value: number): GgufValue => ({ type: 'f32', value });
const text = (value: string): GgufValue => ({ type: 'string', value });

/** Two layers, 4 heads of 8 that share 2 key-value heads, unless said otherwise. */
export async function tinyLlama(options: TinyLlama = {}): Promise<GgufFile> {
  const { layers = 2, width = 32, heads = 4, kvHeads = 2, feedForward = 48, vocabulary = 40 } = options;
  const { contextLength = 64, tied = true, ropeFactors } = options;
  const headSize = width / heads;
  const random = new RandomStream(5, 'tiny');
  const matrix = (rows: number, columns: number, gain = 1): HostArray => ({
    format: 'f32',
    shape: [rows, columns],
    data: random.normal(rows * columns, gain / Math.sqrt(columns)),
  });
  const norm = (): HostArray => ({ format: 'f32', shape: [width], data: random.uniform(width, 0.5, 1.5) });
  const tensors: Record<string, HostArray | undefined> = { 'token_embd.weight': matrix(vocabulary, width, 4) };
  for (let n = 0; n < layers; n++) {
    tensors[`blk.${n}.attn_norm.weight`] = norm();
    tensors[`blk.${n}.attn_q.weight`] = matrix(width, width, 2);
    tensors[`blk.${n}.attn_k.weight`] = matrix(kvHeads * headSize, width, 2);
    tensors[`blk.${n}.attn_v.weight`] = matrix(kvHeads * headSize, width);
    tensors[`blk.${n}.attn_output.weight`] = matrix(width, width);
    tensors[`blk.${n}.ffn_norm.weight`] = norm();
    tensors[`blk.${n}.ffn_gate.weight`] = matrix(feedForward, width);
    tensors[`blk.${n}.ffn_up.weight`] = matrix(feedForward, width);
    tensors[`blk.${n}.ffn_down.weight`] = matrix(width, feedForward);
  }
  tensors['output_norm.weight'] = norm();
  if (!tied) tensors['output.weight'] = matrix(vocabulary, width, 4);
  if (ropeFactors !== undefined) {
    tensors['rope_freqs.weight'] = { format: 'f32', shape: [ropeFactors.length], data: Float32Array.from(ropeFactors) };
  }
  const metadata: Record<string, GgufValue | undefined> = {
    'general.architecture': text('llama'),
    'llama.block_count': integer(layers),
    'llama.context_length': integer(contextLength),
    'llama.embedding_length': integer(width),
    'llama.feed_forward_length': integer(feedForward),
    'llama.attention.head_count': integer(heads),
    'llama.attention.head_count_kv': integer(kvHeads),
    'llama.attention.layer_norm_rms_epsilon': real(1e-5),
    'llama.rope.freq_base': real(1000),
    ...options.metadata,
  };
  const contents = {
    metadata: new Map(Object.entries(metadata).filter((entry): entry is [string, GgufValue] => entry[1] !== undefined)),
    tensors: Object.entries({ ...tensors, ...options.tensors }).flatMap(([name, array]) =>
      array === undefined ? [] : [{ name, array }],
    ),
  };
  return openGguf(bytesSource(await encodeGguf(contents), 'tiny.gguf'));
}

/** Token ids, the same each time. */
export function someTokens(length: number, vocabulary = 40, name = 'tokens'): Int32Array {
  const random = new RandomStream(9, name);
  return Int32Array.from({ length }, () => random.nextInteger(vocabulary));
}
