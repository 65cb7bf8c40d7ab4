import { readFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import {
  adapterKind,
  adapterTarget,
  mergeTypes,
  openBaseModel,
  readAdapter,
  writeAdapter,
  writeMergedFolder,
  writeMergedGguf,
  type MergeType,
  type RowOrder,
} from '@lowrank/models';
import { addAdapterFileOptions, addZerfooOptions, fileAdapters, type AdapterFileOptions } from '../adapter-files.ts';
import { CliError } from '../cli-error.ts';
import { addJson } from '../common-options.ts';
import { barText, bytesText } from '../format.ts';
import { messageOf } from '../message-of.ts';
import { modelFormat } from '../model-format.ts';
import { checkOutput, checkOutputFolder } from '../output-path.ts';
import { makeReporter, type Reporter } from '../reporter.ts';
import { findModel } from '../session.ts';

interface ConvertOptions extends AdapterFileOptions {
  readonly model: string;
  readonly type: MergeType;
  readonly layerNames?: string;
  readonly rowOrder?: RowOrder;
  readonly json?: boolean;
}

export function addConvert(program: Command): Command {
  const command = program
    .command('convert <in> <out>')
    .description(
      'Convert an adapter between GGUF and PEFT folder (from checkpoints and zerfoo files, too), or a model between GGUF and Hugging Face folder; by the names: an <out> in .gguf is that, any other a folder.',
    )
    .option(
      '-m, --model <path>',
      "an adapter's base: GGUF, folder or known model; its header alone is read",
      'smollm2-135m-instruct',
    )
    .addOption(new Option('--type <type>', "how a model's matrices are stored").choices(mergeTypes).default('f16'));
  addZerfooOptions(addAdapterFileOptions(command));
  return addJson(command).action(async (from: string, to: string, options: ConvertOptions) =>
    convert(from, to, options),
  );
}

async function convert(from: string, to: string, options: ConvertOptions): Promise<void> {
  const reporter = makeReporter(options.json === true);
  try {
    const kind = await adapterKind(from);
    if (kind === undefined) await convertModel(from, to, options, reporter);
    else await convertAdapter(from, to, options, reporter);
  } finally {
    reporter.settle();
  }
}

async function convertAdapter(from: string, to: string, options: ConvertOptions, reporter: Reporter): Promise<void> {
  const target = adapterTarget(to);
  await (target === 'gguf' ? checkOutput(to) : checkOutputFolder(to, 'adapter_config.json'));
  const { checkFinite = false, rowOrder } = options;
  const layerNames = options.layerNames === undefined ? undefined : await namesIn(options.layerNames);
  await using base = await openBaseModel(await findModel(options.model, reporter));
  const adapter = await readAdapter(from, base, await fileAdapters(options), {
    checkFinite,
    ...(layerNames === undefined ? {} : { layerNames }),
    ...(rowOrder === undefined ? {} : { rowOrder }),
  });
  const bytes = await writeAdapter(to, base, adapter);
  const sites = adapter.states.size;
  reporter.line(`wrote ${to} (${adapter.adapter.type} on ${sites} modules, ${target}, ${bytesText(bytes)})`);
  reporter.event('done', { output: to, adapter: adapter.adapter.type, target, modules: sites, bytes });
}

async function convertModel(from: string, to: string, { type }: ConvertOptions, reporter: Reporter): Promise<void> {
  const format = modelFormat(to);
  await (format === 'gguf' ? checkOutput(to) : checkOutputFolder(to));
  await using base = await openBaseModel(await findModel(from, reporter));
  const write = format === 'gguf' ? writeMergedGguf : writeMergedFolder;
  const bytes = await write(to, base.file, base, {
    type,
    onProgress: (written, total) =>
      reporter.status(`writing ${barText(written, total)} ${written} of ${total} tensors`),
  });
  reporter.settle();
  reporter.line(`wrote ${to} (${bytesText(bytes)}, ${type})`);
  reporter.event('done', { output: to, bytes, type });
}

/** A table of names in a JSON file. @throws CliError CLI_INPUT. */
async function namesIn(path: string): Promise<Record<string, string>> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    throw new CliError('CLI_INPUT', `${path} cannot be read: ${messageOf(cause)}`, { value: path, cause });
  }
  const entries = typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [];
  if (entries.length > 0 && entries.every(([, name]) => typeof name === 'string')) {
    return value as Record<string, string>;
  }
  throw new CliError('CLI_INPUT', `${path} is not a table of names: {"layer": "model.layers.0.self_attn.q_proj"}`, {
    value: path,
  });
}
