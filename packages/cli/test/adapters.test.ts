import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { adapterNamed } from '../src/adapters.ts';
import { lowrank } from './support/captured.ts';

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
    const { code, stderr } = await lowrank('train', '-m=names', `-d=${data}`, '-o=never.gguf', ...args);
    expect(code).toBe(2);
    expect(stderr).toMatch(says);
  });
});
