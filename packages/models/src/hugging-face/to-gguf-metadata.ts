import { basename, join, resolve } from 'node:path';
import type { GgufValue } from '@lowrank/io-gguf';
import { ModelsError } from '../models-error.ts';
import { TOKEN_KIND } from '../tokenizer/byte-pair-tokenizer.ts';
import type { HfFolder } from './hf-folder.ts';
import { readJsonFile } from './json-file.ts';
import { preTokenizerName } from './pre-tokenizer-names.ts';
import { chatTemplateFromFolder, tokenizerFromFolder } from './tokenizer-folder.ts';
import { jsonVocabulary } from './tokenizer-json.ts';

const text = (value: string): GgufValue => ({ type: 'string', value });
const whole = (value: number): GgufValue => ({ type: 'u32', value });
const real = (value: number): GgufValue => ({ type: 'f32', value });

/**
 * A GGUF's metadata of a model folder: sizes, tokenizer, chat template.
 * @throws ModelsError MODELS_TOKENIZER_UNSUPPORTED for a tokenizer that llama.cpp has no name for.
 */
export async function ggufMetadataFromFolder(folder: HfFolder): Promise<Map<string, GgufValue>> {
  const { config, path } = folder;
  const { name: architecture } = config.architecture;
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', text(architecture)],
    ['general.type', text('model')],
    ['general.name', text(basename(resolve(path)))],
  ]);
  const own = (key: string, value: GgufValue): void => void metadata.set(`${architecture}.${key}`, value);
  own('vocab_size', whole(config.vocabularySize));
  own('context_length', whole(config.contextLength));
  own('embedding_length', whole(config.hiddenSize));
  own('block_count', whole(config.layers));
  own('feed_forward_length', whole(config.feedForwardSize));
  own('attention.head_count', whole(config.heads));
  own('attention.head_count_kv', whole(config.kvHeads));
  if (config.headSize * config.heads !== config.hiddenSize) {
    own('attention.key_length', whole(config.headSize));
    own('attention.value_length', whole(config.headSize));
  }
  own('attention.layer_norm_rms_epsilon', real(config.normEpsilon));
  own('rope.dimension_count', whole(config.ropeDimensions));
  own('rope.freq_base', real(config.ropeBase));
  if (config.ropeScale !== 1) {
    own('rope.scaling.type', text('linear'));
    own('rope.scaling.factor', real(config.ropeScale));
  }
  for (const [key, value] of await tokenizerMetadata(folder)) metadata.set(key, value);
  return metadata;
}

async function tokenizerMetadata({ path, config }: HfFolder): Promise<Map<string, GgufValue>> {
  const jsonPath = join(path, 'tokenizer.json');
  const tokenizer = await tokenizerFromFolder(path);
  const json = (await readJsonFile(jsonPath))!;
  const pre = preTokenizerName(json);
  if (pre === undefined) {
    throw new ModelsError(
      'MODELS_TOKENIZER_UNSUPPORTED',
      `${jsonPath}: its pre_tokenizer is none that GGUF has a name for here; write a Hugging Face folder instead`,
      { value: json['pre_tokenizer'] },
    );
  }
  const { tokens, kinds, merges } = jsonVocabulary(json, jsonPath);
  if (tokens.length > config.vocabularySize) {
    throw new ModelsError(
      'MODELS_METADATA',
      `${jsonPath} has ${tokens.length} tokens, the model's embedding ${config.vocabularySize}; they do not belong together`,
      { value: tokens.length },
    );
  }
  // The embedding may have more rows than there are tokens; llama.cpp wants a token for each.
  for (let id = tokens.length; id < config.vocabularySize; id++) {
    tokens.push(`[PAD${id}]`);
    kinds.push(TOKEN_KIND.unused);
  }
  const metadata = new Map<string, GgufValue>([
    ['tokenizer.ggml.model', text('gpt2')],
    ['tokenizer.ggml.pre', text(pre)],
    ['tokenizer.ggml.tokens', { type: 'array', of: 'string', value: tokens }],
    ['tokenizer.ggml.token_type', { type: 'array', of: 'i32', value: Int32Array.from(kinds) }],
    ['tokenizer.ggml.merges', { type: 'array', of: 'string', value: merges }],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: tokenizer.addBos }],
  ]);
  const { bosId, eosId } = tokenizer;
  if (bosId !== undefined) metadata.set('tokenizer.ggml.bos_token_id', whole(bosId));
  if (eosId !== undefined) metadata.set('tokenizer.ggml.eos_token_id', whole(eosId));
  // llama.cpp has one more place for what ends a turn.
  const other = tokenizer.endOfTurnIds.find((id) => id !== eosId);
  if (other !== undefined) metadata.set('tokenizer.ggml.eot_token_id', whole(other));
  const template = await chatTemplateFromFolder(path, tokenizer);
  if (template !== undefined) metadata.set('tokenizer.chat_template', text(template.source));
  return metadata;
}
