import { encodeConversation } from '../chat/encode-chat.ts';
import type { TrainedIds } from '../chat/encode-chat.ts';
import type { ChatTemplate } from '../chat/chat-template.ts';
import { ModelsError } from '../models-error.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { DataRecord } from './record.ts';

export interface TokenizeOptions {
  readonly tokenizer: Tokenizer;
  /** Needed for `messages` records. */
  readonly template?: ChatTemplate | undefined;
  /** What the loss counts: the answers only (default), or every token. `text` records have no prompt and count whole. */
  readonly trainOn?: 'completion' | 'everything';
}

/**
 * A record as token ids, and which of them are targets. Prompt and completion, as well as text, begin with BOS where the
 * model wants it and end with EOS where it has one; prompt and completion are tokenized apart, as in generation.
 * The first token is never a target: nothing predicts it.
 * @throws ModelsError MODELS_CHAT_TEMPLATE and MODELS_CHAT_SEGMENTS as `encodeConversation`, the former also for messages
 * without a template; MODELS_TOKENIZER_UNENCODABLE for bytes that the vocabulary lacks.
 */
export function tokenizeExample(
  record: DataRecord,
  { tokenizer, template, trainOn = 'completion' }: TokenizeOptions,
): TrainedIds {
  const { ids, trained } =
    'messages' in record
      ? conversation()
      : 'prompt' in record
        ? joined(record.prompt, record.completion)
        : joined('', record.text);
  if (trainOn === 'everything') trained.fill(1);
  if (trained.length > 0) trained[0] = 0;
  return { ids, trained };

  function conversation(): TrainedIds {
    if (template === undefined) {
      throw new ModelsError(
        'MODELS_CHAT_TEMPLATE',
        'the model has no chat template, so it cannot be trained on "messages"; use "prompt" and "completion" or "text" records, or a chat model',
      );
    }
    return encodeConversation(tokenizer, template, (record as Extract<DataRecord, { messages: unknown }>).messages);
  }

  function joined(prompt: string, completion: string): TrainedIds {
    const plain = { addSpecial: false, missingBytes: 'throw' } as const;
    const bos = tokenizer.addBos && tokenizer.bosId !== undefined ? [tokenizer.bosId] : [];
    const eos = tokenizer.eosId === undefined ? [] : [tokenizer.eosId];
    const head = [...bos, ...tokenizer.encode(prompt, plain)];
    const ids = Int32Array.from([...head, ...tokenizer.encode(completion, plain), ...eos]);
    return { ids, trained: new Uint8Array(ids.length).fill(1, head.length) };
  }
}
