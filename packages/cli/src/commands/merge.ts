import { Option, type Command } from 'commander';
import { mergeTypes, writeMergedGguf, type MergeType } from '@lowrank/models';
import { addAdapterFile, addJson, addModelOptions } from '../common-options.ts';
import { barText, bytesText } from '../format.ts';
import { checkOutput } from '../output-path.ts';
import { makeReporter } from '../reporter.ts';
import { openSession, type SessionOptions } from '../session.ts';

interface MergeOptions extends SessionOptions {
  readonly output: string;
  readonly type: MergeType;
  readonly json?: boolean;
}

export function addMerge(program: Command): Command {
  const command = program
    .command('merge')
    .description('Write a model with an adapter merged in as one GGUF; without an adapter, convert it.');
  addAdapterFile(addModelOptions(command));
  command
    .requiredOption('-o, --output <path>', 'the GGUF to write')
    .addOption(new Option('--type <type>', 'how matrices are stored').choices(mergeTypes).default('f16'));
  return addJson(command).action(async (options: MergeOptions) => merge(options));
}

async function merge(options: MergeOptions): Promise<void> {
  const reporter = makeReporter(options.json === true);
  await checkOutput(options.output);
  const session = await openSession(options, reporter);
  try {
    const bytes = await writeMergedGguf(options.output, session.base.file, session.model, {
      type: options.type,
      ...(session.adapter === undefined ? {} : { adapter: session.adapter }),
      onProgress: (written, total) =>
        reporter.status(`writing ${barText(written, total)} ${written} of ${total} tensors`),
    });
    reporter.settle();
    reporter.line(`wrote ${options.output} (${bytesText(bytes)}, ${options.type})`);
    reporter.event('done', { output: options.output, bytes, type: options.type });
  } finally {
    reporter.settle();
    await session.close();
  }
}
