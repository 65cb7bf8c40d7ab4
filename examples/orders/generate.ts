/**
 * Makes train.jsonl and test.jsonl: café orders in plain English with their answers in strict JSON.
 * Drink, size and extras of every held-out item form a combination that training never shows.
 */
import { writeFileSync } from 'node:fs';
import { RandomStream } from '@lowrank/core';
import { DRINKS, EXTRAS, SIZES, combination } from './menu.ts';
import type { Order, OrderItem } from './menu.ts';
import { say } from './phrases.ts';

export const SYSTEM_PROMPT = 'Order to JSON.';
const SEED = 7;
const TRAIN_ORDERS = 200;
const TEST_ORDERS = 40;
/** One combination in this many is held out. */
const HELD_OUT_EVERY = 5;

type Combination = Omit<OrderItem, 'count'>;

/** Every drink in every size with none, one or two of the extras; two always in the menu's order. */
function combinations(): Combination[] {
  const choices: (readonly (typeof EXTRAS)[number][])[] = [[], ...EXTRAS.map((extra) => [extra])];
  EXTRAS.forEach((first, i) => EXTRAS.slice(i + 1).forEach((second) => choices.push([first, second])));
  return DRINKS.flatMap((name) => SIZES.flatMap((size) => choices.map((extras) => ({ name, size, extras }))));
}

/** Mostly none or one extra, seldom two. */
function pickCombination(from: readonly Combination[], random: RandomStream): Combination {
  const kind = random.nextInteger(10);
  const extras = kind < 3 ? 0 : kind < 9 ? 1 : 2;
  const choices = from.filter((choice) => choice.extras.length === extras);
  return choices[random.nextInteger(choices.length)]!;
}

function makeOrder(from: readonly Combination[], random: RandomStream): Order {
  const length = random.nextInteger(4) === 0 ? 2 : 1;
  const items = Array.from({ length }, () => {
    const { name, size, extras } = pickCombination(from, random);
    const count = random.nextInteger(2) === 0 ? 1 : 1 + random.nextInteger(4);
    return { count, size, name, extras };
  });
  return { items, to_go: random.nextInteger(2) === 0 };
}

function makeLines(count: number, from: readonly Combination[], random: RandomStream): string {
  const seen = new Set<string>();
  while (seen.size < count) {
    const order = makeOrder(from, random);
    const messages = [
      { role: 'system', content: SYSTEM_PROMPT },
      { role: 'user', content: say(order, random) },
      { role: 'assistant', content: JSON.stringify(order) },
    ];
    seen.add(JSON.stringify({ messages }));
  }
  return [...seen].map((line) => `${line}\n`).join('');
}

/** The two files' contents: the same on every machine. */
export function generate(): { readonly train: string; readonly test: string } {
  const random = new RandomStream(SEED, 'orders');
  const heldOut = new Set<string>();
  const all = combinations();
  for (const choice of all) {
    if (random.nextInteger(HELD_OUT_EVERY) === 0) heldOut.add(combination({ count: 1, ...choice }));
  }
  const isHeldOut = (choice: Combination): boolean => heldOut.has(combination({ count: 1, ...choice }));
  return {
    train: makeLines(
      TRAIN_ORDERS,
      all.filter((choice) => !isHeldOut(choice)),
      random,
    ),
    test: makeLines(TEST_ORDERS, all.filter(isHeldOut), random),
  };
}

if (import.meta.main) {
  const { train, test } = generate();
  writeFileSync(new URL('train.jsonl', import.meta.url), train);
  writeFileSync(new URL('test.jsonl', import.meta.url), test);
}
