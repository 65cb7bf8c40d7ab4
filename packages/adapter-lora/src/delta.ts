import { lowRankDelta, type LowRankPair, type Tensor } from '@lowrank/core';

/** What the change of a layer's output is made of. */
export type LoraPair = LowRankPair;

/**
 * scale * B (A x), differentiable in x, A and B.
 * @param x [..., in] f32, or token ids [...] i32: an embedding's input.
 * @returns [..., out].
 * @throws CoreError CORE_SHAPE when x, A and B do not fit.
 */
export function loraDelta(x: Tensor, pair: LoraPair): Tensor {
  return lowRankDelta(x, pair, 'lora.delta');
}
