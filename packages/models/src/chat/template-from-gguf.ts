import type { GgufMetadata } from '@lowrank/io-gguf';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { ChatTemplate } from './chat-template.ts';

/** The chat template of a GGUF with its BOS and EOS texts; undefined where the file has none (base models). */
export function chatTemplateFromGguf(metadata: GgufMetadata, tokenizer: Tokenizer): ChatTemplate | undefined {
  const source = metadata.string('tokenizer.chat_template', undefined);
  if (source === undefined) return undefined;
  const text = (id: number | undefined): string =>
    id === undefined ? '' : tokenizer.decode([id], { skipSpecial: false });
  return { source, bosToken: text(tokenizer.bosId), eosToken: text(tokenizer.eosId) };
}
