/** A byte-pair vocabulary of a few hundred tokens, so that tests need no model. */
import { GgufMetadata } from '@lowrank/io-gguf';
import type { GgufValue } from '@lowrank/io-gguf';

/** GPT-2's printable character of each byte, worked out here a second time. */
export const BYTES: readonly string[] = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    return String.fromCharCode(printable ? byte : next++);
  });
})();

const text = (value: string): GgufValue => ({ type: 'string', value });
const texts = (value: readonly string[]): GgufValue => ({ type: 'array', of: 'string', value });
const id = (value: number): GgufValue => ({ type: 'u32', value });

const MERGES = ['h e', 'l l', 'he ll', 'hell o', 'Ġ w', 'o r', 'Ġw or', 'l d', 'Ġwor ld', '1 2'] as const;
const CONTROL = ['<|im_start|>', '<|im_end|>', '<|endoftext|>'];
const USER_DEFINED = ['<name>', '<name>s'];

export const CHATML =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/** Metadata of such a model: all bytes, `MERGES`, three control and two user-defined tokens, ChatML. */
export function smallMetadata(changes: Readonly<Record<string, GgufValue | undefined>> = {}): GgufMetadata {
  const tokens = [...BYTES, ...MERGES.map((merge) => merge.replace(' ', '')), ...CONTROL, ...USER_DEFINED];
  const kinds = tokens.map((token) => (CONTROL.includes(token) ? 3 : USER_DEFINED.includes(token) ? 4 : 1));
  const entries: Record<string, GgufValue | undefined> = {
    'tokenizer.ggml.model': text('gpt2'),
    'tokenizer.ggml.pre': text('gpt-2'),
    'tokenizer.ggml.tokens': texts(tokens),
    'tokenizer.ggml.merges': texts(MERGES),
    'tokenizer.ggml.token_type': { type: 'array', of: 'i32', value: Int32Array.from(kinds) },
    'tokenizer.ggml.bos_token_id': id(tokens.indexOf('<|im_start|>')),
    'tokenizer.ggml.eos_token_id': id(tokens.indexOf('<|im_end|>')),
    'tokenizer.chat_template': text(CHATML),
    ...changes,
  };
  return new GgufMetadata(
    Object.entries(entries).filter((entry): entry is [string, GgufValue] => entry[1] !== undefined),
  );
}
