import type { Command } from 'commander';
import { fileSource, openGguf, type GgufFile, type GgufValue } from '@lowrank/io-gguf';
import { addJson } from '../common-options.ts';
import { bytesText, countText } from '../format.ts';
import { makeReporter } from '../reporter.ts';

interface InspectOptions {
  readonly tensors?: boolean;
  readonly json?: boolean;
}

export function addInspect(program: Command): Command {
  const command = program
    .command('inspect <file>')
    .description('Show what a GGUF holds: model, adapter or anything else.')
    .option('--tensors', 'list every tensor');
  return addJson(command).action(async (path: string, options: InspectOptions) => inspect(path, options));
}

async function inspect(path: string, options: InspectOptions): Promise<void> {
  const reporter = makeReporter(options.json === true);
  await using file = await openGguf(await fileSource(path));
  const tensors = [...file.tensors.values()];
  if (options.json) {
    reporter.event('file', {
      path,
      version: file.version,
      alignment: file.alignment,
      bytes: file.source.size,
      types: typeCounts(file),
    });
    for (const [key, value] of file.metadata) {
      reporter.event('metadata', { key, type: value.type, value: plain(value) });
    }
    for (const { name, type, shape, offset, byteLength } of tensors) {
      reporter.event('tensor', { name, type, shape, offset, byteLength: byteLength ?? null });
    }
    return;
  }
  reporter.line(`${path}: GGUF v${file.version}, ${bytesText(file.source.size)}, ${tensors.length} tensors`);
  reporter.line('');
  for (const [key, value] of file.metadata) reporter.line(`  ${key} = ${short(value)}`);
  reporter.line('');
  for (const [type, { tensors: count, weights }] of Object.entries(typeCounts(file))) {
    reporter.line(`  ${type.padEnd(6)} ${String(count).padStart(5)} tensors  ${countText(weights)} weights`);
  }
  if (options.tensors !== true) return;
  reporter.line('');
  for (const { name, type, shape } of tensors) reporter.line(`  ${name}  [${shape.join(', ')}]  ${type}`);
}

function typeCounts(file: GgufFile): Record<string, { tensors: number; weights: number }> {
  const counts: Record<string, { tensors: number; weights: number }> = {};
  for (const { type, shape } of file.tensors.values()) {
    const count = (counts[type] ??= { tensors: 0, weights: 0 });
    count.tensors++;
    count.weights += shape.reduce((a, b) => a * b, 1);
  }
  return counts;
}

/** JSON has no 64-bit integers: they become text. */
function plain(value: GgufValue): unknown {
  return JSON.parse(
    JSON.stringify(asArray(value.value), (_, item: unknown) => (typeof item === 'bigint' ? String(item) : item)),
  );
}

function asArray(value: unknown): unknown {
  return ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<unknown>) : value;
}

function short(value: GgufValue): string {
  if (value.type === 'array') {
    const items = Array.from(value.value as ArrayLike<string | number | bigint | boolean | object>).slice(0, 4);
    const head = items.map((item) => (typeof item === 'object' ? '…' : cut(String(item), 24)));
    return `[${head.join(', ')}${value.value.length > 4 ? ', …' : ''}] (${countText(value.value.length)} of ${value.of})`;
  }
  return cut(JSON.stringify(typeof value.value === 'bigint' ? String(value.value) : value.value), 160);
}

function cut(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
