import { CoreError } from '../../errors/core-error.ts';
import { gather } from '../../ops/gather.ts';
import { matmul } from '../../ops/matmul.ts';
import { transpose } from '../../ops/permute.ts';
import { reshape } from '../../ops/reshape.ts';
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
export function lowRankDelta(x: Tensor, { A, B, scale = 1 }: LowRankPair, caller = 'lowRankDelta'): Tensor {
  if (A.shape.length !== 2 || B.shape.length !== 2 || A.shape[0] !== B.shape[1]) {
    throw new CoreError(
      'CORE_SHAPE',
      `${caller}: A is [rank, in] and B [out, rank], not [${A.shape.join(', ')}] and [${B.shape.join(', ')}]`,
      {
        value: [A.shape, B.shape],
      },
    );
  }
  const [inner, leading] = x.dtype === 'i32' ? [lookUp(x, A), x.shape] : [project(x, A, caller), x.shape.slice(0, -1)];
  return reshape(matmul(scale === 1 ? inner : scaleBy(inner, scale), B, { transposeB: true }), [
    ...leading,
    B.shape[0]!,
  ]);
}

/** A x: [rows, rank]. */
function project(x: Tensor, A: Tensor, caller: string): Tensor {
  const inFeatures = A.shape[1]!;
  if (x.shape.at(-1) !== inFeatures) {
    throw new CoreError('CORE_SHAPE', `${caller}: A takes [..., ${inFeatures}], not [${x.shape.join(', ')}]`, {
      value: x.shape,
    });
  }
  const rows = inFeatures === 0 ? 0 : x.size / inFeatures;
  return matmul(reshape(x, [rows, inFeatures]), A, { transposeB: true });
}

/** Columns of A at token ids: [rows, rank]. */
function lookUp(ids: Tensor, A: Tensor): Tensor {
  return gather(transpose(A), reshape(ids, [ids.size]));
}
