import {
  add,
  equal,
  matmul,
  maximum,
  mul,
  scale as scaleBy,
  scope,
  slice,
  sqrt,
  sum,
  tensor,
  transpose,
  type FrozenLayer,
  type HostWeight,
  type LowRankPair,
  type Site,
  type Tensor,
} from '@lowrank/core';

/** Rows of an embedding that are looked at together. */
const chunk = 1024;

/**
 * ||W||, one for each output: the norms of a linear weight's rows, of an embedding's columns. Summed in float64, rounded once.
 */
export async function weightNorms(original: HostWeight, { kind, outFeatures }: Site): Promise<Float32Array> {
  const values = await original.values();
  const columns = original.shape[1];
  const squares = new Float64Array(outFeatures);
  for (let row = 0, at = 0; row < original.shape[0]; row++) {
    for (let column = 0; column < columns; column++, at++) {
      const output = kind === 'embedding' ? column : row;
      squares[output] = squares[output]! + values[at]! * values[at]!;
    }
  }
  return Float32Array.from(squares, Math.sqrt);
}

/**
 * ||V'|| = ||W + s B A|| for each output, without V' or B A:
 * ||V'||^2 = ||W||^2 + 2 s rowsum((W A^T) o B) + s^2 rowsum((B (A A^T)) o B).
 *
 * Where it is 0 it is given as 1, for V' = 0 whatever divides it. With B A = 0 it is sqrt(||W||^2), and that is ||W|| to the
 * bit: in binary arithmetic sqrt(x * x) = |x| for correctly rounded products and roots, short of underflow (||W|| < 1e-19).
 * @param squared ||W||^2 [out].
 * @param projected A W^T [rank, out]; an embedding's A W.
 * @returns [out]; all else that it makes is freed.
 */
export function directionNorms({ A, B, scale = 1 }: LowRankPair, squared: Tensor, projected: Tensor): Tensor {
  return scope(() => {
    const zero = tensor(A.backend, [0], [1]);
    const crossed = sum(mul(projected, transpose(B)), { axis: 0 });
    const own = sum(mul(matmul(B, matmul(A, A, { transposeB: true })), B), { axis: 1 });
    const total = add(add(squared, scaleBy(crossed, 2 * scale)), scaleBy(own, scale * scale));
    // Rounding may make a vanishing sum negative.
    const norms = sqrt(maximum(total, zero));
    return add(norms, equal(norms, zero));
  });
}

/** A W^T [rank, out] through the layer's own product, so that a quantized weight stays as it is; an embedding's A W. */
export function projectThrough(base: FrozenLayer, A: Tensor): Tensor {
  return base.kind === 'embedding' ? scope(() => throughTable(base, A)) : base.product(A);
}

/** The table is looked up a piece at a time: a decoded copy of it never exists. */
function throughTable(base: FrozenLayer, A: Tensor): Tensor {
  let total: Tensor | undefined;
  for (let start = 0; start < base.inFeatures; start += chunk) {
    const size = Math.min(chunk, base.inFeatures - start);
    const before = total;
    total = scope(() => {
      const ids = tensor(
        A.backend,
        Int32Array.from({ length: size }, (_, i) => start + i),
        [size],
      );
      const part = matmul(slice(A, 1, start, size), base.product(ids));
      return before === undefined ? part : add(before, part);
    });
    before?.dispose();
  }
  return total!;
}
