import type { Command } from 'commander';
import { elementary, evaluateLoss } from '@lowrank/core';
import { evaluationSource, lossOf } from '@lowrank/models';
import type { AdapterFileOptions } from '../adapter-files.ts';
import { addAdapterFile, addJson, addModelOptions } from '../common-options.ts';
import { addDataOptions, readExamples, type DataOptions } from '../data.ts';
import { wholeNumber } from '../option-values.ts';
import { makeReporter } from '../reporter.ts';
import { openSession, type SessionOptions } from '../session.ts';

interface EvalOptions extends SessionOptions, AdapterFileOptions, DataOptions {
  readonly data: string;
  readonly batchSize: number;
  readonly json?: boolean;
}

export function addEval(program: Command): Command {
  const command = program.command('eval').description('Loss and perplexity on a data set.');
  addAdapterFile(addModelOptions(command));
  command
    .requiredOption('-d, --data <path>', 'JSON Lines: messages, prompt and completion, or text')
    .option('--batch-size <n>', 'examples at a time', wholeNumber(1), 8);
  return addJson(addDataOptions(command)).action(async (options: EvalOptions) => evaluate(options));
}

async function evaluate(options: EvalOptions): Promise<void> {
  const reporter = makeReporter(options.json === true);
  const session = await openSession(options, reporter);
  try {
    const { examples } = await readExamples(options.data, session, options, reporter);
    const { loss, tokens } = await evaluateLoss(evaluationSource(examples, options.batchSize), lossOf(session.model));
    const perplexity = elementary.exp(loss);
    reporter.line(
      `loss ${loss.toFixed(4)}, perplexity ${perplexity.toFixed(4)} on ${tokens} tokens of ${examples.length} examples`,
    );
    reporter.event('done', { loss, perplexity, tokens, examples: examples.length });
  } finally {
    await session.close();
  }
}
