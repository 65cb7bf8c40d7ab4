import { describe, expect, it } from 'vitest';
import { examplesOf } from './examples.ts';

const page = (...lines: string[]): string => lines.join('\n');

describe('examplesOf', () => {
  it('finds whole programs with the output that follows', () => {
    const markdown = page('# Title', '```ts', 'console.log(1);', '```', '', 'prints', '', '```text', '1', '```');
    expect(examplesOf(markdown)).toEqual([{ line: 2, code: 'console.log(1);', output: '1' }]);
  });

  it('leaves out fragments and other languages', () => {
    expect(examplesOf(page('```ts fragment', 'x.y()', '```', '```sh', 'npm test', '```', '```', '```'))).toEqual([]);
  });

  it('takes no output that belongs to something else', () => {
    const markdown = page('```ts', 'a();', '```', '', 'Far', '', 'away', '', '```text', '1', '```');
    expect(examplesOf(markdown)).toEqual([{ line: 1, code: 'a();', output: undefined }]);
  });

  it('refuses a block that is not closed', () => {
    expect(() => examplesOf(page('# Title', '```ts', 'a();'))).toThrow('line 2');
  });
});
