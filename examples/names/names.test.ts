import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { generate } from './generate.ts';

const files = {
  train: readFileSync(new URL('train.jsonl', import.meta.url), 'utf8'),
  test: readFileSync(new URL('test.jsonl', import.meta.url), 'utf8'),
};

interface Line {
  readonly prompt: string;
  readonly completion: string;
}

const lines = (text: string): Line[] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
const namesOf = ({ completion }: Line): string[] => completion.trim().split(', ');
const [train, test] = [lines(files.train), lines(files.test)];

describe('three names', () => {
  it('are what the generator makes', () => {
    expect(generate()).toEqual(files);
  });

  it('are 400 lines to train on and 40 held out, none twice', () => {
    expect([train.length, test.length]).toEqual([400, 40]);
    expect(new Set([...train, ...test].map((line) => JSON.stringify(line))).size).toBe(440);
  });

  it('hold out names that training never shows', () => {
    const shown = new Set(train.flatMap(namesOf));
    expect(test.flatMap(namesOf).filter((name) => shown.has(name))).toEqual([]);
  });

  it('ask for no letter that training lacks', () => {
    const asked = new Set(train.map(({ prompt }) => prompt));
    expect(test.filter(({ prompt }) => !asked.has(prompt))).toEqual([]);
  });

  it('answer with three different names that begin with the letter', () => {
    const wrong = [...train, ...test].filter((line) => {
      const names = namesOf(line);
      const right = names.every((name) => /^[A-Z][a-z]+$/.test(name) && line.prompt === `${name[0]}:`);
      return !right || new Set(names).size !== 3 || !line.completion.startsWith(' ');
    });
    expect(wrong).toEqual([]);
  });
});
