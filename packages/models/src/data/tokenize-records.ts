import type { TrainedIds } from '../chat/encode-chat.ts';
import { ModelsError } from '../models-error.ts';
import type { NumberedRecord } from './read-json-lines.ts';
import { tokenizeExample } from './tokenize-example.ts';
import type { TokenizeOptions } from './tokenize-example.ts';

export interface TokenizeRecordsOptions extends TokenizeOptions {
  /** Most tokens of an example. Default: no limit. */
  readonly maximumLength?: number;
  /** Whether a longer one keeps its first `maximumLength` tokens (default) or is left out. */
  readonly onTooLong?: 'cut' | 'drop';
}

export interface TokenizedRecords {
  /** Each with at least one target. */
  readonly examples: readonly TrainedIds[];
  /** Examples that lost their end; they are among `examples`. */
  readonly cut: number;
  /** Examples left out: too long, or without a target (within the maximum length). */
  readonly dropped: number;
  /** Tokens of `examples`, and how many of them are targets. */
  readonly tokens: number;
  readonly trainedTokens: number;
}

/**
 * All records as examples to train on or evaluate with.
 * @throws ModelsError MODELS_DATA_LINE for a record that cannot be tokenized, with its line; MODELS_DATA_EMPTY where no
 * example is left; MODELS_ARGUMENT for a maximum length that is not a whole number of at least 2.
 */
export async function tokenizeRecords(
  records: AsyncIterable<NumberedRecord> | Iterable<NumberedRecord>,
  { maximumLength = Number.MAX_SAFE_INTEGER, onTooLong = 'cut', ...options }: TokenizeRecordsOptions,
): Promise<TokenizedRecords> {
  if (!Number.isInteger(maximumLength) || maximumLength < 2) {
    throw new ModelsError(
      'MODELS_ARGUMENT',
      `the maximum length is ${maximumLength}; it must be a whole number of at least 2`,
      { value: maximumLength },
    );
  }
  const examples: TrainedIds[] = [];
  const counts = { cut: 0, dropped: 0, tokens: 0, trainedTokens: 0 };
  for await (const { line, record } of records) {
    const whole = tokenizeLine(line, () => tokenizeExample(record, options));
    const tooLong = whole.ids.length > maximumLength;
    const example = tooLong
      ? { ids: whole.ids.slice(0, maximumLength), trained: whole.trained.slice(0, maximumLength) }
      : whole;
    const targets = example.trained.reduce((sum, one) => sum + one, 0);
    if (targets === 0 || (tooLong && onTooLong === 'drop')) {
      counts.dropped++;
      continue;
    }
    if (tooLong) counts.cut++;
    counts.tokens += example.ids.length;
    counts.trainedTokens += targets;
    examples.push(example);
  }
  if (examples.length === 0) {
    throw new ModelsError(
      'MODELS_DATA_EMPTY',
      `no example is left to train on (${counts.dropped} left out); each needs an answer that begins within the maximum length`,
      { value: counts.dropped },
    );
  }
  return { examples, ...counts };
}

function tokenizeLine<T>(line: number, tokenize: () => T): T {
  try {
    return tokenize();
  } catch (cause) {
    // What holds for every line is no fault of this one.
    const isOfTheModel =
      cause instanceof ModelsError && cause.code === 'MODELS_CHAT_TEMPLATE' && cause.value === undefined;
    if (!(cause instanceof ModelsError) || isOfTheModel) throw cause;
    throw new ModelsError('MODELS_DATA_LINE', `line ${line} of the data set: ${cause.message}`, {
      value: cause.value,
      cause,
    });
  }
}
