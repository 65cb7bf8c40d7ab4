import type { TrainedIds } from '../chat/index.ts';

/** A data set's identity for checkpoints: number of examples and tokens, and a 32-bit FNV-1a hash of ids and targets. */
export function dataFingerprint(examples: readonly TrainedIds[]): string {
  let hash = 0x811c9dc5;
  const mix = (word: number): void => {
    for (let shift = 0; shift < 32; shift += 8) hash = Math.imul(hash ^ ((word >>> shift) & 0xff), 0x01000193);
  };
  let tokens = 0;
  for (const { ids, trained } of examples) {
    mix(ids.length);
    ids.forEach((id, i) => mix(id * 2 + trained[i]!));
    tokens += ids.length;
  }
  return `${examples.length} examples, ${tokens} tokens, ${(hash >>> 0).toString(16).padStart(8, '0')}`;
}
