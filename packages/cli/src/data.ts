import { Option, type Command } from 'commander';
import { readJsonLines, tokenizeRecords, type TokenizedRecords } from '@lowrank/models';
import { countText } from './format.ts';
import { wholeNumber } from './option-values.ts';
import type { Reporter } from './reporter.ts';
import type { Session } from './session.ts';

export interface DataOptions {
  readonly maxSeqLength?: number | undefined;
  readonly onTooLong: 'cut' | 'drop';
  readonly trainOn: 'completion' | 'everything';
}

export function addDataOptions(command: Command): Command {
  return command
    .option('--max-seq-length <n>', "most tokens of an example (default: the model's context)", wholeNumber(2))
    .addOption(
      new Option('--on-too-long <what>', 'cut longer examples, or drop them').choices(['cut', 'drop']).default('cut'),
    )
    .addOption(
      new Option('--train-on <what>', 'what the loss counts')
        .choices(['completion', 'everything'])
        .default('completion'),
    );
}

/** Reads and tokenizes a data set, telling what was cut or left out. */
export async function readExamples(
  path: string,
  { tokenizer, template, model }: Session,
  options: DataOptions,
  reporter: Reporter,
): Promise<TokenizedRecords> {
  const { contextLength } = model.config;
  const maximumLength = Math.min(options.maxSeqLength ?? contextLength, contextLength);
  const { onTooLong, trainOn } = options;
  const records = await tokenizeRecords(readJsonLines(path), {
    tokenizer,
    template,
    maximumLength,
    onTooLong,
    trainOn,
  });
  const { cut, dropped } = records;
  if (cut > 0) reporter.note(`${path}: ${countText(cut)} examples cut to ${maximumLength} tokens`);
  if (dropped > 0) {
    reporter.note(
      `${path}: ${countText(dropped)} examples left out: too long, or nothing to train on within ${maximumLength} tokens`,
    );
  }
  return records;
}
