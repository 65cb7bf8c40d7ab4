import {
  add,
  addLowRank,
  columnGain,
  CoreError,
  div,
  gather,
  lowRankDelta,
  matmul,
  mul,
  noGrad,
  offset,
  reshape,
  scope,
  sum,
  type LowRankPair,
  type Tensor,
} from '@lowrank/core';
import { directionNorms } from './norm.ts';

/** A layer and what DoRA adds to it. */
export interface DoraTensors extends LowRankPair {
  /** m [out]. */
  readonly magnitude: Tensor;
  /** W [out, in], taken as frozen; an embedding's table [vocabulary, dimension]. */
  readonly weight: Tensor;
}

/**
 * What is added to W x + b: (g - 1) W x + g s B (A x), with g = m / ||V'||.
 * @param x [..., in] f32, or token ids [...] i32.
 * @param product W x, [..., out].
 * @param norms ||V'|| [out], a constant of the gradient (section 4.3 of the paper).
 */
export function change(x: Tensor, product: Tensor, pair: LowRankPair, magnitude: Tensor, norms: Tensor): Tensor {
  const gain = div(magnitude, norms);
  return add(mul(offset(gain, -1), product), mul(gain, lowRankDelta(x, pair, 'dora.delta')));
}

/**
 * g (W x + s B (A x)): one pass more over the output than LoRA.
 * @param product W x, [..., out], which is taken over.
 */
export function scaledSum(x: Tensor, product: Tensor, pair: LowRankPair, magnitude: Tensor, norms: Tensor): Tensor {
  return columnGain(addLowRank(product, x, pair, 'dora.output'), div(magnitude, norms));
}

/**
 * (g - 1) W x + g s B (A x) of plain tensors, differentiable in x, A, B and the magnitude.
 * @param x [..., in] f32, or token ids [...] i32: an embedding's input.
 * @returns [..., out].
 * @throws CoreError CORE_SHAPE when they do not fit.
 */
export function doraDelta(x: Tensor, { A, B, scale = 1, magnitude, weight }: DoraTensors): Tensor {
  const [inFeatures, outFeatures] = [A.shape[1], B.shape[0]];
  const embedding = x.dtype === 'i32';
  const shape = embedding ? [inFeatures, outFeatures] : [outFeatures, inFeatures];
  if (weight.shape.join() !== shape.join() || magnitude.shape.join() !== String(outFeatures)) {
    throw new CoreError(
      'CORE_SHAPE',
      `dora.delta: with A [${A.shape.join(', ')}] and B [${B.shape.join(', ')}] the weight is [${shape.join(', ')}] and the magnitude [${outFeatures}], not [${weight.shape.join(', ')}] and [${magnitude.shape.join(', ')}]`,
      { value: [weight.shape, magnitude.shape] },
    );
  }
  const pair = { A, B, scale };
  const frozen = weight.detach();
  const norms = noGrad(() =>
    scope(() => {
      const squared = sum(mul(frozen, frozen), { axis: embedding ? 0 : 1 });
      return directionNorms(pair, squared, matmul(A, frozen, { transposeB: !embedding }));
    }),
  );
  return change(x, embedding ? gather(frozen, x) : productOf(x, frozen), pair, magnitude, norms);
}

/** x W^T for inputs of any rank. */
function productOf(x: Tensor, weight: Tensor): Tensor {
  const [outFeatures, inFeatures] = weight.shape as [number, number];
  const rows = reshape(x, [x.size / inFeatures, inFeatures]);
  return reshape(matmul(rows, weight, { transposeB: true }), x.shape.with(-1, outFeatures));
}
