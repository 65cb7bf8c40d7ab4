import type { GgufFile, GgufMetadata } from '@lowrank/io-gguf';
import { decodeArray } from '@lowrank/core';
import type { CausalLmConfig } from '../causal-lm/config.ts';
import { ModelsError } from '../models-error.ts';
import { TOKEN_KIND } from '../tokenizer/byte-pair-tokenizer.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { JsonObject } from './json-file.ts';
import { llama3Factors } from './llama3-rope.ts';
import { preTokenizerJson } from './pre-tokenizer-names.ts';

/** transformers' names of element types. */
export type TorchDtype = 'float32' | 'float16' | 'bfloat16';

/**
 * A config.json for a model out of a GGUF.
 * @param tied whether the head is the embedding's table in what is written.
 * @throws ModelsError MODELS_METADATA for what config.json has no words for.
 */
export async function configJson(
  file: GgufFile,
  config: CausalLmConfig,
  tokenizer: Tokenizer,
  tied: boolean,
  dtype: TorchDtype,
): Promise<JsonObject> {
  const has = (name: string): boolean => file.tensors.has(name);
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    attention_bias: has('blk.0.attn_q.bias'),
    mlp_bias: has('blk.0.ffn_up.bias'),
    attention_dropout: 0,
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    intermediate_size: config.feedForwardSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headSize,
    max_position_embeddings: config.contextLength,
    rms_norm_eps: shortest(config.normEpsilon),
    rope_theta: shortest(config.ropeBase),
    rope_scaling: await ropeScaling(file, config),
    tie_word_embeddings: tied,
    vocab_size: config.vocabularySize,
    bos_token_id: tokenizer.bosId ?? null,
    eos_token_id: tokenizer.eosId ?? null,
    initializer_range: 0.02,
    torch_dtype: dtype,
    use_cache: true,
  };
}

/** A generation_config.json: what ends a turn. */
export function generationJson({ bosId, eosId, endOfTurnIds }: Tokenizer): JsonObject {
  const ends = [...new Set([...(eosId === undefined ? [] : [eosId]), ...endOfTurnIds])];
  return { bos_token_id: bosId ?? null, eos_token_id: ends.length === 1 ? ends[0] : ends };
}

/**
 * A tokenizer.json out of a GGUF's metadata.
 * @throws ModelsError MODELS_TOKENIZER_UNSUPPORTED for a pre-tokenizer that it has no words for.
 */
export function tokenizerJson(metadata: GgufMetadata, { addBos, bosId }: Tokenizer): JsonObject {
  const name = metadata.string('tokenizer.ggml.pre', 'default');
  const pre = preTokenizerJson(name);
  if (pre === undefined) {
    throw new ModelsError(
      'MODELS_TOKENIZER_UNSUPPORTED',
      `tokenizer.ggml.pre is ${JSON.stringify(name)}, which tokenizer.json has no words for here; write a GGUF instead`,
      { value: name },
    );
  }
  const tokens = metadata.strings('tokenizer.ggml.tokens');
  const kinds = metadata.numbers('tokenizer.ggml.token_type', undefined) ?? tokens.map(() => TOKEN_KIND.normal);
  const added = tokens.flatMap((content, id) => {
    const kind = kinds[id];
    const special = kind === TOKEN_KIND.control || kind === TOKEN_KIND.unknown;
    if (!special && kind !== TOKEN_KIND.userDefined) return [];
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }];
  });
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: pre.normalizer,
    pre_tokenizer: pre.pre_tokenizer,
    post_processor: addBos && bosId !== undefined ? startsWith(tokens[bosId]!, bosId) : byteLevel,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: pre.ignoreMerges,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: metadata.strings('tokenizer.ggml.merges').map((merge) => {
        const at = merge.indexOf(' ', 1);
        return [merge.slice(0, at), merge.slice(at + 1)];
      }),
    },
  };
}

/** A tokenizer_config.json. */
export function tokenizerSettings(metadata: GgufMetadata, tokenizer: Tokenizer): JsonObject {
  const tokens = metadata.strings('tokenizer.ggml.tokens');
  const { bosId, eosId } = tokenizer;
  const template = metadata.string('tokenizer.chat_template', undefined);
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    add_prefix_space: false,
    clean_up_tokenization_spaces: false,
    bos_token: bosId === undefined ? null : tokens[bosId],
    eos_token: eosId === undefined ? null : tokens[eosId],
    ...(template === undefined ? {} : { chat_template: template }),
  };
}

function startsWith(token: string, id: number): JsonObject {
  const special = { SpecialToken: { id: token, type_id: 0 } };
  const text = (name: 'A' | 'B'): JsonObject => ({ Sequence: { id: name, type_id: 0 } });
  return {
    type: 'TemplateProcessing',
    single: [special, text('A')],
    pair: [special, text('A'), special, text('B')],
    special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
  };
}

/** Llama 3's way of scaling is a tensor in GGUFs and five numbers here; those of its models are tried. */
async function ropeScaling(file: GgufFile, config: CausalLmConfig): Promise<JsonObject | null> {
  const name = 'rope_freqs.weight';
  if (!file.tensors.has(name)) {
    return config.ropeScale === 1 ? null : { rope_type: 'linear', factor: shortest(config.ropeScale) };
  }
  const factors = decodeArray(await file.read(name));
  const rope = { factor: Math.max(...factors), lowFrequencyFactor: 1, highFrequencyFactor: 4, originalContext: 8192 };
  const expected = llama3Factors(config.headSize, config.ropeBase, rope);
  if (factors.length !== expected.length || factors.some((value, i) => Math.abs(value / expected[i]! - 1) > 1e-4)) {
    throw new ModelsError(
      'MODELS_METADATA',
      `${file.source.name}: ${name} is not Llama 3's scaling from 8192 tokens, the only one that config.json has words for here; write a GGUF instead`,
      { value: name },
    );
  }
  return {
    rope_type: 'llama3',
    factor: rope.factor,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 8192,
  };
}

/** The shortest decimal of a number that was stored as f32: 1e-5, not 0.000009999999747378752. */
function shortest(value: number): number {
  for (let digits = 1; digits < 10; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}
