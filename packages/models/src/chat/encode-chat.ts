/**
 * Conversations as token ids. For training each assistant turn is a segment of its own, tokenized apart from what
 * stands before it, because that is how the model meets it when it generates: the prompt is tokenized, then the answer
 * follows. Where that differs from tokenizing the whole text the example would teach something else than it says, so
 * it is an error.
 */
import { ModelsError } from '../models-error.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { renderChat } from './chat-template.ts';
import type { ChatTemplate } from './chat-template.ts';
import type { ChatMessage } from './message.ts';

/** Token ids and, for each, whether a model is trained to produce it (1) or only to read it (0). */
export interface TrainedIds {
  readonly ids: Int32Array;
  readonly trained: Uint8Array;
}

/** Ids of a conversation up to the head of the assistant's next turn: a prompt to generate from. */
export function encodeChatPrompt(
  tokenizer: Tokenizer,
  template: ChatTemplate,
  messages: readonly ChatMessage[],
): Int32Array {
  return encodeRendered(tokenizer, template, renderChat(template, messages, { addGenerationPrompt: true }));
}

/**
 * Ids of a whole conversation, trained on every assistant turn from after its head through its end-of-turn token and
 * what the template writes behind that (for SmolLM2 `<|im_end|>` and a newline).
 * @throws ModelsError MODELS_CHAT_SEGMENTS when the template does not write each turn behind the one before, unchanged,
 * or when the segments' ids are not the whole text's; MODELS_CHAT_TEMPLATE as `renderChat`.
 */
export function encodeConversation(
  tokenizer: Tokenizer,
  template: ChatTemplate,
  messages: readonly ChatMessage[],
): TrainedIds {
  const whole = renderChat(template, messages);
  const ids: number[] = [];
  const trained: number[] = [];
  let done = 0;
  const take = (end: number, isTrained: 0 | 1): void => {
    if (end === done) return;
    const text = whole.slice(done, end);
    const segment =
      done === 0
        ? encodeRendered(tokenizer, template, text)
        : tokenizer.encode(text, { addSpecial: false, parseSpecial: true, missingBytes: 'throw' });
    for (const id of segment) {
      ids.push(id);
      trained.push(isTrained);
    }
    done = end;
  };
  messages.forEach((message, turn) => {
    if (message.role !== 'assistant') return;
    const head = renderChat(template, messages.slice(0, turn), { addGenerationPrompt: true });
    const through = renderChat(template, messages.slice(0, turn + 1));
    if (!through.startsWith(head) || !whole.startsWith(through)) throw notSplittable(turn);
    take(head.length, 0);
    take(through.length, 1);
  });
  take(whole.length, 0);
  const expected = encodeRendered(tokenizer, template, whole);
  const same = expected.length === ids.length && expected.every((id, i) => id === ids[i]);
  if (!same) throw tokensDiffer(tokenizer, ids, expected);
  // Nothing stands before the first token that could predict it.
  trained[0] = 0;
  return { ids: Int32Array.from(ids), trained: Uint8Array.from(trained) };
}

/** Templates often write BOS themselves: the result has it once where the tokenizer adds it. */
function encodeRendered(tokenizer: Tokenizer, template: ChatTemplate, rendered: string): Int32Array {
  const bos = template.bosToken ?? '';
  const ownBos = tokenizer.addBos && bos !== '' && rendered.startsWith(bos);
  const ids = tokenizer.encode(ownBos ? rendered.slice(bos.length) : rendered, {
    addSpecial: false,
    parseSpecial: true,
    missingBytes: 'throw',
  });
  return tokenizer.addBos && tokenizer.bosId !== undefined ? Int32Array.from([tokenizer.bosId, ...ids]) : ids;
}

function notSplittable(turn: number): ModelsError {
  return new ModelsError(
    'MODELS_CHAT_SEGMENTS',
    `the model's chat template rewrites earlier text when message ${turn + 1} (assistant) is added, so its turns cannot be told apart; ` +
      'train on conversations of a single assistant turn, or on prompt and completion records',
    { value: turn },
  );
}

function tokensDiffer(tokenizer: Tokenizer, ids: readonly number[], expected: Int32Array): ModelsError {
  let at = 0;
  while (ids[at] === expected[at]) at++;
  const around = tokenizer.decode(expected.slice(Math.max(0, at - 4), at + 4), { skipSpecial: false });
  return new ModelsError(
    'MODELS_CHAT_SEGMENTS',
    `an assistant turn's tokens differ when it is tokenized apart from the text before it, around ${JSON.stringify(around)}; ` +
      'remove whitespace from the beginning and end of the message',
    { value: at },
  );
}
