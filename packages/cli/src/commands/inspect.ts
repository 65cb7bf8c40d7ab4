import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { addJson } from '../common-options.ts';
import { bytesText, countText } from '../format.ts';
import { describeFolder } from '../inspect/describe-folder.ts';
import { describeGguf } from '../inspect/describe-gguf.ts';
import { describeSafetensors } from '../inspect/describe-safetensors.ts';
import type { Description } from '../inspect/description.ts';
import { makeReporter } from '../reporter.ts';

interface InspectOptions {
  readonly tensors?: boolean;
  readonly json?: boolean;
}

export function addInspect(program: Command): Command {
  const command = program
    .command('inspect <path>')
    .description(
      'Show what a file or folder holds: a GGUF or safetensors, a Hugging Face model, a PEFT adapter, a checkpoint.',
    )
    .option('--tensors', 'list every tensor');
  return addJson(command).action(async (path: string, options: InspectOptions) => inspect(path, options));
}

async function inspect(path: string, options: InspectOptions): Promise<void> {
  const reporter = makeReporter(options.json === true);
  const { kind, details, bytes, metadata, tensors } = await describe(path);
  const types = typeCounts(tensors);
  if (options.json) {
    reporter.event('file', { path, kind, ...details, bytes, types });
    for (const { key, type, value } of metadata) reporter.event('metadata', { key, type, value });
    for (const tensor of tensors) reporter.event('tensor', { ...tensor });
    return;
  }
  reporter.line(`${path}: ${kind}, ${bytesText(bytes)}, ${tensors.length} tensors`);
  reporter.line('');
  for (const { key, text } of metadata) reporter.line(`  ${key} = ${text}`);
  reporter.line('');
  for (const [type, { tensors: count, weights }] of Object.entries(types)) {
    reporter.line(`  ${type.padEnd(6)} ${String(count).padStart(5)} tensors  ${countText(weights)} weights`);
  }
  if (options.tensors !== true) return;
  reporter.line('');
  for (const { name, type, shape } of tensors) reporter.line(`  ${name}  [${shape.join(', ')}]  ${type}`);
}

async function describe(path: string): Promise<Description> {
  if ((await stat(path).catch(() => undefined))?.isDirectory() === true) return describeFolder(path);
  return basename(path).endsWith('.safetensors') ? describeSafetensors(path) : describeGguf(path);
}

function typeCounts(tensors: Description['tensors']): Record<string, { tensors: number; weights: number }> {
  const counts: Record<string, { tensors: number; weights: number }> = {};
  for (const { type, shape } of tensors) {
    const count = (counts[type] ??= { tensors: 0, weights: 0 });
    count.tensors++;
    count.weights += shape.reduce((a, b) => a * b, 1);
  }
  return counts;
}
