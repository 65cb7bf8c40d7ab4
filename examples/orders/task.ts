import { fileURLToPath } from 'node:url';
import {
  EMBEDDED_MODEL_NAME,
  encodeChatPrompt,
  ModelsError,
  readJsonLines,
  resolveModel,
  tokenizeExample,
  tokenizeRecords,
  type ChatRecord,
  type ChatTemplate,
  type CompletionRecord,
  type FineTuneSettings,
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
  /** What the adapter is called. */
  readonly name: string;
  readonly model: string;
  readonly modelPath: string;
  readonly description: string;
  readonly settings: FineTuneSettings;
  /** JSON Lines to train on, and held out. */
  readonly files: { readonly train: string; readonly held: string };
  /** Whether there is one right answer to each question. */
  readonly exact: boolean;
  read(tokenizer: Tokenizer, template: ChatTemplate | undefined): Promise<TaskData>;
}

export const DEFAULT_MODEL = 'smollm2-135m-instruct';

/**
 * Café orders on the model asked for. Where the default one cannot be had, the embedded model and its own task, and a
 * word about why.
 */
export async function chooseTask(model: string, reporter: Reporter): Promise<Task> {
  try {
    const { path } = await resolveModel(model, {
      onProgress: ({ route, receivedBytes, totalBytes }) =>
        reporter.status(
          `fetching ${model} (${route}) ${bytesText(receivedBytes)}${totalBytes === undefined ? '' : ` of ${bytesText(totalBytes)}`}`,
        ),
    });
    return model === EMBEDDED_MODEL_NAME ? names(path) : orders(model, path);
  } catch (error) {
    if (model !== DEFAULT_MODEL || !(error instanceof ModelsError) || error.code !== 'MODELS_DOWNLOAD') throw error;
    reporter.note(error.message);
    reporter.line('The model cannot be had here: this demo goes on with the small model that comes with the package.');
    return await chooseTask(EMBEDDED_MODEL_NAME, reporter);
  } finally {
    reporter.settle();
  }
}

function orders(model: string, modelPath: string): Task {
  return {
    name: 'orders',
    model,
    modelPath,
    description: 'café orders in plain English to strict JSON: 200 to train on, 40 held out',
    settings: { epochs: 2, batchSize: 4, learningRate: 1e-3 },
    files: { train: here('train.jsonl'), held: here('test.jsonl') },
    exact: true,
    read: readOrders,
  };
}

function names(modelPath: string): Task {
  return {
    name: 'names',
    model: EMBEDDED_MODEL_NAME,
    modelPath,
    description: 'three first names that begin with a letter: 400 lines to train on, 40 held out',
    settings: { epochs: 6, batchSize: 16, learningRate: 1e-2 },
    files: { train: here('../names/train.jsonl'), held: here('../names/test.jsonl') },
    exact: false,
    read: readNames,
  };
}

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

async function readNames(tokenizer: Tokenizer): Promise<TaskData> {
  const { examples, tokens, trainedTokens } = await tokenizeRecords(readJsonLines(here('../names/train.jsonl')), {
    tokenizer,
  });
  const held: HeldOut[] = [];
  for await (const { record } of readJsonLines(here('../names/test.jsonl'))) {
    const { prompt, completion } = record as CompletionRecord;
    held.push({
      prompt,
      expected: completion.trim(),
      ids: tokenizer.encode(prompt),
      example: tokenizeExample(record, { tokenizer }),
    });
  }
  return { examples, tokens, trainedTokens, held };
}

async function readOrders(tokenizer: Tokenizer, template: ChatTemplate | undefined): Promise<TaskData> {
  if (template === undefined) {
    throw new ModelsError('MODELS_CHAT_TEMPLATE', 'the model has no chat template; give a chat model');
  }
  const { examples, tokens, trainedTokens } = await tokenizeRecords(readJsonLines(here('train.jsonl')), {
    tokenizer,
    template,
  });
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
