import type { GgufMetadata } from '@lowrank/io-gguf';
import { ModelsError } from '../models-error.ts';
import { BytePairTokenizer, TOKEN_KIND } from './byte-pair-tokenizer.ts';
import { endOfTurnIds } from './end-of-turn.ts';
import { PRE_TOKENIZER_NAMES, preTokenizer } from './pre-tokenizers.ts';
import type { Tokenizer } from './tokenizer.ts';

/**
 * The tokenizer that a GGUF file describes, from its metadata alone: `tokenizer.ggml.model` "gpt2" (byte-level
 * byte-pair) with one of the known pre-tokenizers. Its ids equal llama.cpp's.
 * @throws ModelsError MODELS_TOKENIZER_UNSUPPORTED for another kind, MODELS_METADATA for entries that contradict each
 * other; GgufError for missing or mistyped ones.
 */
export function tokenizerFromGguf(metadata: GgufMetadata): Tokenizer {
  const model = metadata.string('tokenizer.ggml.model', undefined);
  if (model !== 'gpt2') {
    throw new ModelsError(
      'MODELS_TOKENIZER_UNSUPPORTED',
      `tokenizer.ggml.model is ${model === undefined ? 'missing' : JSON.stringify(model)}; supported: "gpt2" (byte-level byte-pair)`,
      { value: model },
    );
  }
  const name = metadata.string('tokenizer.ggml.pre', 'default');
  const words = preTokenizer(name);
  if (words === undefined) {
    throw new ModelsError(
      'MODELS_TOKENIZER_UNSUPPORTED',
      `tokenizer.ggml.pre is ${JSON.stringify(name)}; supported: ${PRE_TOKENIZER_NAMES.join(', ')}`,
      { value: name },
    );
  }
  const tokens = metadata.strings('tokenizer.ggml.tokens');
  const merges = metadata.strings('tokenizer.ggml.merges');
  const kinds = metadata.numbers('tokenizer.ggml.token_type', undefined) ?? tokens.map(() => TOKEN_KIND.normal);
  if (kinds.length !== tokens.length) {
    throw new ModelsError(
      'MODELS_METADATA',
      `tokenizer.ggml.token_type has ${kinds.length} entries, tokenizer.ggml.tokens ${tokens.length}; they must be equal`,
      { value: kinds.length },
    );
  }
  const bad = merges.findIndex((merge) => merge.indexOf(' ', 1) < 1 || merge.endsWith(' '));
  if (bad !== -1) {
    throw new ModelsError('MODELS_METADATA', `tokenizer.ggml.merges[${bad}] is not two tokens with a space between`, {
      value: merges[bad],
    });
  }
  const id = (name: string): number | undefined => {
    const key = `tokenizer.ggml.${name}_token_id`;
    const value = metadata.integer(key, undefined);
    if (value === undefined || (value >= 0 && value < tokens.length)) return value;
    throw new ModelsError('MODELS_METADATA', `${key} is ${value}, but ids go from 0 to ${tokens.length - 1}`, {
      value,
    });
  };
  const eosId = id('eos');
  return new BytePairTokenizer({
    tokens,
    kinds,
    merges,
    ignoreMerges: words.ignoreMerges,
    splitWords: (text) => words.split(text),
    bosId: id('bos'),
    eosId,
    addBos: metadata.boolean('tokenizer.ggml.add_bos_token', words.addBos),
    addEos: metadata.boolean('tokenizer.ggml.add_eos_token', false),
    endOfTurnIds: endOfTurnIds(tokens, kinds, [eosId, id('eot'), id('eom')]),
  });
}
