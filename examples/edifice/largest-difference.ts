import type { Tensor } from '@lowrank/core';

/** The largest |a - b| over all elements. */
export async function largestDifference(a: Tensor, b: Tensor): Promise<number> {
  const [left, right] = [await a.data(), await b.data()];
  let largest = 0;
  for (let i = 0; i < left.length; i++) largest = Math.max(largest, Math.abs(left[i]! - right[i]!));
  return largest;
}
