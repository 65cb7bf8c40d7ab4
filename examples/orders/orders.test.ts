import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SYSTEM_PROMPT, generate } from './generate.ts';
import { DRINKS, EXTRAS, SIZES, combination } from './menu.ts';
import type { Order } from './menu.ts';

const files = {
  train: readFileSync(new URL('train.jsonl', import.meta.url), 'utf8'),
  test: readFileSync(new URL('test.jsonl', import.meta.url), 'utf8'),
};

interface Turn {
  readonly role: string;
  readonly content: string;
}

function conversations(text: string): Turn[][] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { messages: Turn[] }).messages);
}

const train = conversations(files.train);
const test = conversations(files.test);
const orderOf = (turns: readonly Turn[]): Order => JSON.parse(turns[2]!.content) as Order;
const items = (set: readonly Turn[][]) => set.flatMap((turns) => orderOf(turns).items);

describe('café orders', () => {
  it('are what the generator makes', () => {
    expect(generate()).toEqual(files);
  });

  it('are 200 to train on and 40 held out, none twice', () => {
    expect([train.length, test.length]).toEqual([200, 40]);
    expect(new Set([...train, ...test].map((turns) => turns[1]!.content)).size).toBe(240);
  });

  it('hold out combinations of drink, size and extras that training never shows', () => {
    const shown = new Set(items(train).map(combination));
    expect(items(test).filter((item) => shown.has(combination(item)))).toEqual([]);
  });

  it('show in training every drink, size, extra and count that is asked for', () => {
    const shown = items(train);
    expect(new Set(shown.map(({ name }) => name))).toEqual(new Set(DRINKS));
    expect(new Set(shown.map(({ size }) => size))).toEqual(new Set(SIZES));
    expect(new Set(shown.flatMap(({ extras }) => extras))).toEqual(new Set(EXTRAS));
    expect(new Set(shown.map(({ count }) => count))).toEqual(new Set([1, 2, 3, 4]));
  });

  it.each([...train, ...test].map((turns) => [turns[1]!.content, turns] as const))(
    'says all that the answer has: %s',
    (said, turns) => {
      expect(turns.map(({ role }) => role)).toEqual(['system', 'user', 'assistant']);
      expect(turns[0]!.content).toBe(SYSTEM_PROMPT);
      const order = orderOf(turns);
      expect(turns[2]!.content).toBe(JSON.stringify(order));
      const parts = said.toLowerCase().split(/ and (?=an? |one |two |three |four )/);
      const itemParts = parts.filter((part) => !part.startsWith('an extra shot'));
      expect(itemParts).toHaveLength(order.items.length);
      for (const { count, size, name, extras } of order.items) {
        expect(said.toLowerCase()).toMatch(
          new RegExp(
            `\\b${['', '(?:a|one)', 'two', 'three', 'four'][count]!} ${size} (?:${extras[0] ?? '-'} )?${name}${count > 1 ? 's' : ''}\\b`,
          ),
        );
        for (const extra of extras) expect(said.toLowerCase()).toContain(extra);
      }
      expect(/ to go| to take away| for takeaway/.test(said)).toBe(order.to_go);
    },
  );
});
