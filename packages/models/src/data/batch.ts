import type { TrainedIds } from '../chat/encode-chat.ts';

/** Target of a position that the loss does not count. */
export const IGNORED_TARGET = -100;

/** Examples one behind the other, without padding; attention stays within each. N is the sum of their lengths. */
export interface Batch {
  /** Token ids: [N]. */
  readonly ids: Int32Array;
  /** Position within the example, from 0: [N]. */
  readonly positions: Int32Array;
  /** Tokens of each example: [examples]. */
  readonly lengths: Int32Array;
  /** The next token's id where that is trained, else `IGNORED_TARGET`: [N]. */
  readonly targets: Int32Array;
  /** How many targets count. */
  readonly targetCount: number;
}

/** Puts examples behind each other, in the order given. */
export function makeBatch(examples: readonly TrainedIds[]): Batch {
  const lengths = Int32Array.from(examples, ({ ids }) => ids.length);
  const size = lengths.reduce((sum, length) => sum + length, 0);
  const ids = new Int32Array(size);
  const positions = new Int32Array(size);
  const targets = new Int32Array(size).fill(IGNORED_TARGET);
  let targetCount = 0;
  let start = 0;
  for (const example of examples) {
    ids.set(example.ids, start);
    for (let i = 0; i < example.ids.length; i++) {
      positions[start + i] = i;
      if (i > 0 && example.trained[i] === 1) {
        targets[start + i - 1] = example.ids[i]!;
        targetCount++;
      }
    }
    start += example.ids.length;
  }
  return { ids, positions, lengths, targets, targetCount };
}
