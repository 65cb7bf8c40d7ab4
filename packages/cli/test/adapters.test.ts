import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adapterNamed } from '../src/adapters.ts';

import { jsonLines, lowrank, testFolder, type TestFolder } from './support/captured.ts';

const vera = fileURLToPath(new URL('../../../examples/third-party-adapter/vera.ts', import.meta.url));
const data = fileURLToPath(new URL('../../../examples/names/test.jsonl', import.meta.url));

describe('--adapter', () => {
  it('takes a file whose default export is an adapter', async () => {
    expect((await adapterNamed(vera)).type).toBe('vera');
  });

  it.each<readonly [string, string[], RegExp]>([
    ['a package that is not there', ['--adapter=@nobody/adapter'], /@nobody\/adapter is not installed.*CLI_ADAPTER/],
    ['a file that is not there', ['--adapter=./nowhere.ts'], /no file \.\/nowhere\.ts.*CLI_ADAPTER/],
    ['a module that is no adapter', ['--adapter=commander'], /no default export that is an adapter.*CLI_ADAPTER/],
    [
      "an option that somebody else's adapter does not have",
      [`--adapter=${vera}`, '--alpha=3'],
      /vera: 'alpha'.*CONFIG/,
    ],
    ['an option of its own that it does not have', ['--adapter-options={"ranks":3}'], /lora: 'ranks' is not.*CONFIG/],
    ['options that are no JSON', ['--adapter-options=rank'], /a JSON object is needed/],
    ['a pattern that is none', ['--rank-pattern=q_proj'], /'q_proj=16'/],
  ])('refuses %s', async (_, args, says) => {
    const { code, stderr } = await lowrank('train', '--model=names', `--data=${data}`, '--output=never.gguf', ...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(says);
  });
});

describe('each kind of training', () => {
  let folder: TestFolder;
  beforeAll(async () => {
    folder = await testFolder();
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  it.each<readonly [string, string[], string[]]>([
    ['lora', [], []],
    ['dora', [], []],
    ['qlora', [], ['--quantize=nf4']],
    ['qdora', ['--quantize=fp4', '--quantize-block-size=32'], ['--quantize=fp4', '--quantize-block-size=32']],
    ['qlora', ['--init=loftq'], ['--quantize=nf4']],
    ['head-only', [], []],
    ['full', [], []],
  ])('%s %j lowers the loss, and what it writes is what it trained', async (adapter, more, base) => {
    const output = folder.file([adapter, ...more].join(''));
    const trained = await lowrank(
      'train',
      '--model=names',
      `--data=${data}`,
      `--valid-data=${data}`,
      `--output=${output}`,
      `--adapter=${adapter}`,
      ...more,
      '--merged-type=f32',
      '--steps=12',
      '--batch-size=8',
      '--learning-rate=0.01',
      '--threads=1',
      '--json',
    );
    expect(trained.stderr).not.toContain('error');
    expect(trained.code).toBe(0);
    const events = jsonLines(trained.stdout);
    const losses = events.filter(({ event }) => event === 'step').map(({ loss }) => loss as number);
    expect(losses.at(-1)!).toBeLessThan(0.8 * losses[0]!);
    const { output: kind } = events.at(-1)!;
    const [model, flags] = kind === 'merged' ? [output, []] : ['names', [`--adapter-file=${output}`, ...base]];
    const judged = await lowrank('eval', `--model=${model}`, `--data=${data}`, '--threads=1', '--json', ...flags);
    const live = events.findLast(({ event }) => event === 'eval')!['loss'] as number;
    // f32 throughout; only the merged weights were rounded once more.
    expect(Math.abs((jsonLines(judged.stdout).at(-1)!['loss'] as number) - live)).toBeLessThan(1e-4);
  });

  it('says that LoftQ needs a quantized base', async () => {
    const { code, stderr } = await lowrank(
      'train',
      '--model=names',
      `--data=${data}`,
      '--output=never',
      '--init=loftq',
    );
    expect(code).toBe(2);
    expect(stderr).toMatch(/--quantize.*CLI_OPTION/);
  });
});
