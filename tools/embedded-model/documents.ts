/** What the model reads: names, and a share of them as answers in a conversation. */
import {
  chatTemplateFromGguf,
  tokenizeExample,
  tokenizerFromGguf,
  type DataRecord,
  type TrainedIds,
} from '@lowrank/models';
import type { GgufFile } from '@lowrank/io-gguf';
import type { Name } from './names.ts';

/** One name in so many also stands in a conversation, so that the chat template's tokens mean something too. */
const inConversation = 4;

export interface Documents {
  /** A name alone, from BOS to EOS. */
  names(names: readonly Name[]): TrainedIds[];
  /** Conversations that ask for a `girl` or a `boy` and are answered with a name. */
  conversations(names: readonly Name[]): TrainedIds[];
}

export function documentsFor({ metadata }: GgufFile): Documents {
  const tokenizer = tokenizerFromGguf(metadata);
  const template = chatTemplateFromGguf(metadata, tokenizer);
  const tokenize = (record: DataRecord): TrainedIds =>
    tokenizeExample(record, { tokenizer, template, trainOn: 'everything' });
  const conversation = (question: string, answer: string): TrainedIds => {
    const messages = [
      { role: 'user', content: question },
      { role: 'assistant', content: answer },
    ];
    const document = tokenize({ messages });
    // Behind BOS alone comes a name.
    document.trained[1] = 0;
    return document;
  };
  return {
    names: (names) => names.map(({ name }) => tokenize({ text: name })),
    conversations: (names) =>
      names
        .filter((_, i) => i % inConversation === 0)
        .flatMap(({ name, of }) => of.map((who) => conversation(who, name))),
  };
}
