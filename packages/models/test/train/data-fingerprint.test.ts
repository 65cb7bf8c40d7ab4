import { describe, expect, it } from 'vitest';
import { dataFingerprint } from '../../src/train/index.ts';

const example = (ids: number[], trained: number[]) => ({
  ids: Int32Array.from(ids),
  trained: Uint8Array.from(trained),
});
const data = [example([1, 2, 3], [0, 1, 1]), example([4, 5], [0, 1])];

describe("a data set's fingerprint", () => {
  it('tells its size, and is the same for the same data', () => {
    expect(dataFingerprint(data)).toMatch(/^2 examples, 5 tokens, [0-9a-f]{8}$/);
    expect(dataFingerprint(structuredClone(data))).toBe(dataFingerprint(data));
  });

  it.each([
    ['another token', [example([1, 2, 9], [0, 1, 1]), data[1]!]],
    ['another target', [example([1, 2, 3], [0, 0, 1]), data[1]!]],
    ['another order', data.toReversed()],
    ['another place of division', [example([1, 2], [0, 1]), example([3, 4, 5], [1, 0, 1])]],
    ['one example less', data.slice(0, 1)],
  ])('changes with %s', (_, changed) => {
    expect(dataFingerprint(changed)).not.toBe(dataFingerprint(data));
  });
});
