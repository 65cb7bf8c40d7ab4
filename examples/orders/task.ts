import { fileURLToPath } from 'node:url';
import type { ByteSource } from '@lowrank/io-gguf';
import {
  encodeChatPrompt,
  ModelsError,
  readJsonLines,
  resolveModel,
  tokenizeExample,
  tokenizeRecords,
  type ChatRecord,
  type ChatTemplate,
  type Tokenizer,
  type TrainedIds,
} from '@lowrank/models';
import { bytesText, type Reporter } from 'lowrank';

/** A held-out question and its right answer. */
export interface HeldOut {
  readonly prompt: string;
  readonly expected: string;
  /** The question as the model reads it. */
  readonly ids: Int32Array;
  /** Question and answer, for the loss. */
  readonly example: TrainedIds;
}

export interface TaskData {
  readonly examples: readonly TrainedIds[];
  readonly tokens: number;
  readonly trainedTokens: number;
  readonly held: readonly HeldOut[];
}

export interface Task {
  readonly model: string;
  readonly modelPath: string;
  /** Where the model is not a file. */
  readonly source?: ByteSource;
  readonly description: string;
  /** Whether there is one right answer to each question. */
  readonly exact: boolean;
  read(tokenizer: Tokenizer, template: ChatTemplate | undefined): Promise<TaskData>;
}

/** Café orders on the model asked for. */
export async function chooseTask(model: string, reporter: Reporter): Promise<Task> {
  const { path } = await resolveModel(model, {
    onProgress: ({ route, receivedBytes, totalBytes }) =>
      reporter.status(`fetching ${model} (${route}) ${bytesText(receivedBytes)}${totalBytes === undefined ? '' : ` of ${bytesText(totalBytes)}`}`),
  });
  reporter.settle();
  return {
    model,
    modelPath: path,
    description: 'café orders in plain English to strict JSON: 200 to train on, 40 held out',
    exact: true,
    read: readOrders,
  };
}

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

async function readOrders(tokenizer: Tokenizer, template: ChatTemplate | undefined): Promise<TaskData> {
  if (template === undefined) throw new ModelsError('MODELS_CHAT_TEMPLATE', 'the model has no chat template; give a chat model');
  const { examples, tokens, trainedTokens } = await tokenizeRecords(readJsonLines(here('train.jsonl')), { tokenizer, template });
  const held: HeldOut[] = [];
  for await (const { record } of readJsonLines(here('test.jsonl'))) {
    const { messages } = record as ChatRecord;
    const question = messages.slice(0, -1);
    held.push({
      prompt: question.at(-1)!.content,
      expected: messages.at(-1)!.content,
      ids: encodeChatPrompt(tokenizer, template, question),
      example: tokenizeExample(record, { tokenizer, template }),
    });
  }
  return { examples, tokens, trainedTokens, held };
}
