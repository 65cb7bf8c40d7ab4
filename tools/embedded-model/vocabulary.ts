/** The model's vocabulary: three control tokens and the 256 bytes. No merges: a token a byte. */
import type { GgufValue } from '@lowrank/io-gguf';
import { BYTE_CHARACTERS } from '../../packages/models/src/tokenizer/byte-alphabet.ts';

/** `<|endoftext|>` begins and ends a text; the others are ChatML's. */
const controlTokens = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];

/** ChatML (each turn `<|im_start|>role\ncontent<|im_end|>\n`), without a default system prompt. */
const chatTemplate =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const tokens = [...controlTokens, ...BYTE_CHARACTERS];

/** `tokenizer.ggml.token_type`: 3 a control token, 1 a normal one. */
const tokenTypes = Int32Array.from(tokens, (_, id) => (id < controlTokens.length ? 3 : 1));

export const vocabularySize: number = tokens.length;

export const tokenizerMetadata: Readonly<Record<string, GgufValue>> = {
  'tokenizer.ggml.model': { type: 'string', value: 'gpt2' },
  'tokenizer.ggml.pre': { type: 'string', value: 'gpt-2' },
  'tokenizer.ggml.tokens': { type: 'array', of: 'string', value: tokens },
  'tokenizer.ggml.token_type': { type: 'array', of: 'i32', value: tokenTypes },
  'tokenizer.ggml.merges': { type: 'array', of: 'string', value: [] },
  'tokenizer.ggml.bos_token_id': { type: 'u32', value: 0 },
  'tokenizer.ggml.eos_token_id': { type: 'u32', value: 0 },
  'tokenizer.ggml.eot_token_id': { type: 'u32', value: 2 },
  'tokenizer.ggml.add_bos_token': { type: 'bool', value: true },
  'tokenizer.chat_template': { type: 'string', value: chatTemplate },
};
