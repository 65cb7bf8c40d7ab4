/** Wrong input to the `lowrank` command: a clear typed error, exit code 2, and nothing written. */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileSource, openGguf, writeGguf, writeLoraGguf, type GgufFile, type GgufValue } from '@lowrank/io-gguf';
import { resolveModel } from '@lowrank/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from './support/cli.ts';
import { temporaryFolder, type TemporaryFolder } from './support/temporary-folder.ts';

interface WrongInput {
  readonly title: string;
  /** `@name` stands for a file of the test's folder. */
  readonly args: readonly string[];
  /** What the message says, with the error's code in brackets where it has one. */
  readonly says: readonly string[];
}

const train = ['train', '--model=names', '--data=@good.jsonl', '--output=@out.gguf', '--steps=2'];
const trainOn = (model: string): string[] => ['train', `--model=${model}`, '--data=@good.jsonl', '--output=@out.gguf'];
const adapted = (adapter: string): string[] => ['generate', '--model=names', `--adapter-file=${adapter}`, '--prompt=J'];

const table: readonly WrongInput[] = [
  {
    title: 'a missing GGUF',
    args: trainOn('@missing.gguf'),
    says: ['[MODELS_MODEL_NOT_FOUND]', '@missing.gguf', 'no file'],
  },
  {
    title: 'a missing GGUF to inspect',
    args: ['inspect', '@missing.gguf'],
    says: ['[GGUF_NOT_FOUND]', '@missing.gguf'],
  },
  {
    title: 'a folder for a GGUF',
    args: trainOn('@folder'),
    says: ['[MODELS_MODEL_NOT_FOUND]', '@folder', 'folder'],
  },
  { title: 'an empty GGUF', args: trainOn('@empty.gguf'), says: ['[GGUF_EMPTY]', '@empty.gguf'] },
  {
    title: 'a GGUF cut off in its header',
    args: trainOn('@cut-header.gguf'),
    says: ['[GGUF_TRUNCATED]', '@cut-header.gguf'],
  },
  {
    title: 'a GGUF cut off in its tensors',
    args: trainOn('@cut-data.gguf'),
    says: ['[GGUF_TRUNCATED]', '@cut-data.gguf'],
  },
  { title: 'a file that is no GGUF', args: trainOn('@good.jsonl'), says: ['[GGUF_NOT_GGUF]', '@good.jsonl'] },
  { title: 'a GGUF with damaged counts', args: trainOn('@counts.gguf'), says: ['[GGUF_', '@counts.gguf'] },
  {
    title: 'a GGUF without one of its tensors',
    args: trainOn('@lacking.gguf'),
    says: ['[MODELS_TENSOR]', 'blk.3.ffn_up.weight'],
  },
  {
    title: 'a GGUF of another architecture',
    args: trainOn('@gpt2.gguf'),
    says: ['[MODELS_ARCHITECTURE]', 'gpt2', 'supported: llama'],
  },
  {
    title: 'an adapter for a model',
    args: trainOn('@wider.gguf'),
    says: ['[MODELS_ARCHITECTURE]', 'adapter', 'base model'],
  },
  {
    title: 'a model for an adapter',
    args: adapted('@names.gguf'),
    says: ['[GGUF_LORA]', '@names.gguf', 'adapter'],
  },
  {
    title: 'an adapter of a wider model',
    args: adapted('@wider.gguf'),
    says: ['[MODELS_ADAPTER]', 'blk.0.attn_q.weight', '[576, 576]', '[96, 96]'],
  },
  {
    title: 'an adapter of a deeper model',
    args: adapted('@deeper.gguf'),
    says: ['[MODELS_ADAPTER]', 'blk.29.attn_q.weight', '4 layers'],
  },
  {
    title: 'an adapter of another architecture',
    args: adapted('@of-gpt2.gguf'),
    says: ['[MODELS_ADAPTER]', 'gpt2', 'llama'],
  },
  {
    title: 'an adapter of another model, to merge',
    args: ['merge', '--model=names', '--adapter-file=@wider.gguf', '--output=@out.gguf'],
    says: ['[MODELS_ADAPTER]', 'blk.0.attn_q.weight'],
  },
  {
    title: 'a target that matches nothing',
    args: [...train, '--target-modules=attention'],
    says: ['[CORE_NO_TARGET]', 'attention', 'q_proj', 'down_proj'],
  },
  { title: 'rank 0', args: [...train, '--rank=0'], says: ['--rank', '1 or more'] },
  { title: 'alpha 0', args: [...train, '--alpha=0'], says: ['[ADAPTER_CONFIG]', 'alpha'] },
  {
    title: 'a data set that is not there',
    args: [...train, '--data=@missing.jsonl'],
    says: ['[MODELS_DATA_FILE]', '@missing.jsonl'],
  },
  {
    title: 'a line that is no JSON',
    args: [...train, '--data=@bad-json.jsonl'],
    says: ['[MODELS_DATA_LINE]', '@bad-json.jsonl, line 3'],
  },
  {
    title: 'a line without a field',
    args: [...train, '--data=@bad-field.jsonl'],
    says: ['[MODELS_DATA_LINE]', '@bad-field.jsonl, line 2', 'completion'],
  },
  {
    title: 'a bad line of the validation data',
    args: [...train, '--valid-data=@bad-json.jsonl'],
    says: ['[MODELS_DATA_LINE]', 'line 3'],
  },
  {
    title: 'an empty data set',
    args: [...train, '--data=@empty.jsonl'],
    says: ['[MODELS_DATA_EMPTY]', '@empty.jsonl'],
  },
  {
    title: 'an empty data set to evaluate on',
    args: ['eval', '--model=names', '--data=@empty.jsonl'],
    says: ['[MODELS_DATA_EMPTY]', '@empty.jsonl'],
  },
  {
    title: 'an output in a folder that is not there',
    args: [...train, '--output=@nowhere/out.gguf'],
    says: ['[CLI_OUTPUT]', '@nowhere'],
  },
  {
    title: 'an output that is a folder with other things in it',
    args: [...train, '--output=@.'],
    says: ['[CLI_OUTPUT]', '@.', 'other things'],
  },
  {
    title: 'an output below a file',
    args: ['merge', '--model=names', '--output=@good.jsonl/out.gguf'],
    says: ['[CLI_OUTPUT]', '@good.jsonl'],
  },
  { title: 'an unknown option', args: [...train, '--rnak=4'], says: ['--rnak', '--rank'] },
  { title: 'an unknown command', args: ['trian'], says: ['trian', 'train'] },
  { title: 'an unknown adapter', args: [...train, '--adapter=lora2'], says: ['[CLI_ADAPTER]', 'lora2', 'lora'] },
  {
    title: 'a number that is none',
    args: [...train, '--learning-rate=fast'],
    says: ['--learning-rate', 'fast'],
  },
  { title: 'nothing to resume', args: [...train, '--resume'], says: ['[MODELS_STATE]', 'no checkpoint'] },
];

let folder: TemporaryFolder;

beforeAll(async () => {
  folder = await temporaryFolder();
  const { path } = await resolveModel('names');
  const bytes = await readFile(path);
  await using file = await openGguf(await fileSource(path));
  const counts = Buffer.from(bytes);
  counts.writeBigUInt64LE(2n ** 60n, 8);
  const good = '{"prompt":"J:","completion":" Jane, Jill, Judy"}\n';
  const contents: Record<string, string | Uint8Array> = {
    'names.gguf': bytes,
    'empty.gguf': '',
    'cut-header.gguf': bytes.subarray(0, 2000),
    'cut-data.gguf': bytes.subarray(0, bytes.length - 5000),
    'counts.gguf': counts,
    'good.jsonl': good.repeat(4),
    'bad-json.jsonl': `${good}${good}{"prompt":"J:","completion":\n${good}`,
    'bad-field.jsonl': `${good}{"prompt":"J:"}\n`,
    'empty.jsonl': '\n\n',
  };
  for (const [name, content] of Object.entries(contents)) await writeFile(folder.file(name), content);
  await mkdir(folder.file('folder'));
  await writeChanged('gpt2.gguf', file, { architecture: 'gpt2' });
  await writeChanged('lacking.gguf', file, { without: 'blk.3.ffn_up.weight' });
  await writeAdapter('wider.gguf', 'llama', 'blk.0.attn_q.weight', 576);
  await writeAdapter('deeper.gguf', 'llama', 'blk.29.attn_q.weight', 96);
  await writeAdapter('of-gpt2.gguf', 'gpt2', 'blk.0.attn_q.weight', 96);
});

afterAll(() => folder[Symbol.asyncDispose]());

/** The model with another architecture's name, or without one of its tensors. */
async function writeChanged(
  name: string,
  file: GgufFile,
  { architecture, without }: { architecture?: string; without?: string },
): Promise<void> {
  const metadata = new Map<string, GgufValue>(file.metadata);
  if (architecture !== undefined) metadata.set('general.architecture', { type: 'string', value: architecture });
  const kept = [...file.tensors.keys()].filter((tensor) => tensor !== without);
  const tensors = await Promise.all(kept.map(async (tensor) => ({ name: tensor, array: await file.read(tensor) })));
  await writeGguf(folder.file(name), { metadata, tensors });
}

/** An adapter of rank 2 on one square weight. */
async function writeAdapter(name: string, architecture: string, base: string, width: number): Promise<void> {
  const zeros = (...shape: number[]) => ({ format: 'f32' as const, shape, data: new Float32Array(2 * width) });
  await writeLoraGguf(folder.file(name), {
    architecture,
    alpha: 2,
    tensors: [{ base, a: zeros(2, width), b: zeros(width, 2) }],
  });
}

/** Every file and folder below, with its size and time of change. */
async function listing(): Promise<string[]> {
  const root = folder.file('.');
  const entries = await readdir(root, { recursive: true });
  return Promise.all(
    entries.sort().map(async (entry) => {
      const { size, mtimeMs } = await stat(join(root, entry));
      return `${entry} ${size} ${mtimeMs}`;
    }),
  );
}

const placed = (text: string): string => text.replace(/@([\w./-]+)/, (_, name: string) => folder.file(name));

describe('the lowrank command, given', () => {
  it.each(table)('$title', async ({ args, says }) => {
    const before = await listing();
    const result = await runCli(args.map(placed));
    expect(result.code, result.stderr).toBe(2);
    expect(result.stdout).toBe('');
    for (const part of says) expect(result.stderr).toContain(placed(part));
    expect(result.stderr).not.toContain('    at ');
    expect(await listing()).toEqual(before);
  });

  it.each([
    ['a typed error', '--data=@empty.jsonl', 'MODELS_DATA_EMPTY'],
    ['a wrong option', '--rank=0', 'CLI_OPTION'],
  ])('%s with --json tells it as JSON too', async (_, argument, code) => {
    const result = await runCli([...train, argument, '--json'].map(placed));
    expect(result.code).toBe(2);
    expect(JSON.parse(result.stdout)).toMatchObject({ event: 'error', code });
  });
});
