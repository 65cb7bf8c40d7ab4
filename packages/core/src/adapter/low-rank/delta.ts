import { CoreError } from '../../errors/core-error.ts';
import { addProduct } from '../../ops/add-product.ts';
import { gather } from '../../ops/gather.ts';
import { matmul } from '../../ops/matmul.ts';
import { transpose } from '../../ops/permute.ts';
import { flattenRows, reshape } from '../../ops/reshape.ts';
import { scale as scaleBy } from '../../ops/scale.ts';
import type { Tensor } from '../../tensor/tensor.ts';

/** What the change of a layer's output is made of. */
export interface LowRankPair {
  /** [rank, in]; an embedding's [rank, vocabulary]. */
  readonly A: Tensor;
  /** [out, rank]; an embedding's [dimension, rank]. */
  readonly B: Tensor;
  /** Multiplies the change: alpha / rank. Default 1. */
  readonly scale?: number;
}

/**
 * scale * B (A x), differentiable in x, A and B. The scale is folded into the [rows, rank] intermediate, the smallest one.
 * @param x [..., in] f32, or token ids [...] i32: an embedding's input.
 * @param caller for messages.
 * @returns [..., out].
 * @throws CoreError CORE_SHAPE when x, A and B do not fit.
 */
export function lowRankDelta(x: Tensor, pair: LowRankPair, caller = 'lowRankDelta'): Tensor {
  const leading = x.dtype === 'i32' ? x.shape : x.shape.slice(0, -1);
  return reshape(matmul(innerOf(x, pair, caller), pair.B, { transposeB: true }), [...leading, pair.B.shape[0]!]);
}

/**
 * y + scale * B (A x), which needs no memory of y's size where the backend can add a product in.
 * @param y [..., out], which is taken over as by `addInto`.
 */
export function addLowRank(y: Tensor, x: Tensor, pair: LowRankPair, caller = 'addLowRank'): Tensor {
  return addProduct(y, innerOf(x, pair, caller), pair.B, { transposeB: true });
}

/** scale * A x: [rows, rank]. */
function innerOf(x: Tensor, { A, B, scale = 1 }: LowRankPair, caller: string): Tensor {
  if (A.shape.length !== 2 || B.shape.length !== 2 || A.shape[0] !== B.shape[1]) {
    throw new CoreError(
      'CORE_SHAPE',
      `${caller}: A is [rank, in] and B [out, rank], not [${A.shape.join(', ')}] and [${B.shape.join(', ')}]`,
      {
        value: [A.shape, B.shape],
      },
    );
  }
  const inner = x.dtype === 'i32' ? lookUp(x, A) : project(x, A, caller);
  return scale === 1 ? inner : scaleBy(inner, scale);
}

/** A x: [rows, rank]. */
function project(x: Tensor, A: Tensor, caller: string): Tensor {
  const inFeatures = A.shape[1]!;
  if (x.shape.at(-1) !== inFeatures) {
    throw new CoreError('CORE_SHAPE', `${caller}: A takes [..., ${inFeatures}], not [${x.shape.join(', ')}]`, {
      value: x.shape,
    });
  }
  // Gradients toward a matrix meet at its own node, where products can be added to them.
  return matmul(x.shape.length === 2 ? x : flattenRows(x), A, { transposeB: true });
}

/** Columns of A at token ids: [rows, rank]. */
function lookUp(ids: Tensor, A: Tensor): Tensor {
  return gather(transpose(A), reshape(ids, [ids.size]));
}
