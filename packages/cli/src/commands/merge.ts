import { Option, type Command } from 'commander';
import {
  loadAdapter,
  mergeTypes,
  writeMergedFolder,
  writeMergedGguf,
  type MergeType,
  type WeightedAdapter,
} from '@lowrank/models';
import {
  addAdapterFileOptions,
  fileAdapters,
  weightedFile,
  type AdapterFileOptions,
  type WeightedFile,
} from '../adapter-files.ts';
import { addJson, addModelOptions } from '../common-options.ts';
import { barText, bytesText } from '../format.ts';
import { checkOutput, checkOutputFolder } from '../output-path.ts';
import { makeReporter } from '../reporter.ts';
import { openSession, type SessionOptions } from '../session.ts';
import { modelFormat, type ModelFormat } from '../model-format.ts';

interface MergeOptions extends Omit<SessionOptions, 'adapterFile'>, AdapterFileOptions {
  readonly adapterFile?: readonly WeightedFile[];
  readonly output: string;
  readonly type: MergeType;
  readonly format?: ModelFormat;
  readonly json?: boolean;
}

export function addMerge(program: Command): Command {
  const command = program
    .command('merge')
    .description('Write a model with adapters merged in as one GGUF or Hugging Face folder; without any, convert it.');
  addAdapterFileOptions(addModelOptions(command))
    .option(
      '-a, --adapter-file <path[=weight]>',
      'adapter to merge, and how much of it (default 1): GGUF, PEFT folder or checkpoint; give it again for more',
      weightedFile,
    )
    .requiredOption('-o, --output <path>', 'the GGUF, or the folder, to write')
    .addOption(new Option('--type <type>', 'how matrices are stored').choices(mergeTypes).default('f16'))
    .addOption(
      new Option('--format <format>', "a GGUF or a Hugging Face folder (default: by the output's name)").choices([
        'gguf',
        'hf',
      ]),
    );
  return addJson(command).action(async (options: MergeOptions) => merge(options));
}

async function merge({ adapterFile = [], ...options }: MergeOptions): Promise<void> {
  const reporter = makeReporter(options.json === true);
  const { output, type, format = modelFormat(output) } = options;
  await (format === 'gguf' ? checkOutput(output) : checkOutputFolder(output));
  const plugins = await fileAdapters(options);
  const session = await openSession({ ...options, adapterFile: undefined }, reporter);
  try {
    const { model, base } = session;
    const adapters: WeightedAdapter[] = [];
    for (const [i, { path, weight }] of adapterFile.entries()) {
      const read = { checkFinite: options.checkFinite === true, name: `${i}: ${path}` };
      adapters.push({ adapter: await loadAdapter(path, model, plugins, read), weight });
    }
    const write = format === 'gguf' ? writeMergedGguf : writeMergedFolder;
    const bytes = await write(output, base.file, model, {
      type,
      adapters,
      onProgress: (written, total) =>
        reporter.status(`writing ${barText(written, total)} ${written} of ${total} tensors`),
    });
    reporter.settle();
    reporter.line(`wrote ${output} (${bytesText(bytes)}, ${type})`);
    reporter.event('done', { output, bytes, type });
  } finally {
    reporter.settle();
    await session.close();
  }
}
