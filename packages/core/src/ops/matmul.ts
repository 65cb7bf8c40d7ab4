import type { MatmulSpec } from '../backend/kernels.ts';
import { CoreError } from '../errors/core-error.ts';
import { result, type GradientRule } from '../tensor/record.ts';
import { sameShape, shapeText, sizeOf } from '../tensor/shape.ts';
import { commonBackend, fromStorage, type Tensor } from '../tensor/tensor.ts';

export interface MatmulOptions {
  /** a is [..., k, m]. */
  readonly transposeA?: boolean;
  /** b is [..., n, k]. */
  readonly transposeB?: boolean;
}

/**
 * a [..., m, k] times b [..., k, n]: [..., m, n]. Leading axes are equal, or one operand has none and serves all.
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const plan = productPlan(a, b, options);
  const y = commonBackend('matmul', [a, b]).kernels.matmul(a.storage, b.storage, plan.spec);
  return result('matmul', [a, b], y, plan.shape, () => productRule(a, b, options));
}

export interface ProductPlan {
  readonly shape: readonly number[];
  readonly spec: MatmulSpec;
}

/** @throws CoreError CORE_SHAPE when the operands do not fit. */
export function productPlan(
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false }: MatmulOptions,
): ProductPlan {
  const fail = (): never => {
    throw new CoreError(
      'CORE_SHAPE',
      `matmul: ${shapeText(a.shape)}${transposeA ? '^T' : ''} and ${shapeText(b.shape)}${transposeB ? '^T' : ''} do not fit`,
      {
        value: [a.shape, b.shape],
      },
    );
  };
  if (a.shape.length < 2 || b.shape.length < 2) fail();
  const [a0, a1] = a.shape.slice(-2) as [number, number];
  const [b0, b1] = b.shape.slice(-2) as [number, number];
  const [m, k] = transposeA ? [a1, a0] : [a0, a1];
  const [kB, n] = transposeB ? [b1, b0] : [b0, b1];
  const aLeading = a.shape.slice(0, -2);
  const bLeading = b.shape.slice(0, -2);
  const shared = aLeading.length === 0 || bLeading.length === 0 || sameShape(aLeading, bLeading);
  if (k !== kB || !shared) fail();
  const leading = aLeading.length > 0 ? aLeading : bLeading;
  const [batch, batchA, batchB] = [sizeOf(leading), aLeading.length > 0, bLeading.length > 0];
  // One matrix for all of a's rows: a single taller product.
  const one = !batchB && !transposeA;
  return {
    shape: [...leading, m, n],
    spec: one
      ? { batch: 1, m: batch * m, n, k, transposeA, transposeB, batchA: true, batchB: true }
      : { batch, m, n, k, transposeA, transposeB, batchA, batchB },
  };
}

/** The gradients of a product, toward a and b; they are added to sums that are there already where the backend can. */
export function productRule(
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false }: MatmulOptions,
): GradientRule {
  const [aShape, bShape] = [a.shape, b.shape];
  const [needsA, needsB] = [a.requiresGrad, b.requiresGrad];
  return {
    saved: [...(needsB ? [a] : []), ...(needsA ? [b] : [])],
    gradient: (dy, saved, _, [sumA, sumB]) => {
      const [left, right] = [saved[0]!, saved.at(-1)!];
      const toA = (): Tensor | undefined =>
        transposeA
          ? part(right, dy, { transposeA: transposeB, transposeB: true }, aShape, sumA)
          : part(dy, right, { transposeB: !transposeB }, aShape, sumA);
      const toB = (): Tensor | undefined =>
        transposeB
          ? part(dy, left, { transposeA: true, transposeB: transposeA }, bShape, sumB)
          : part(left, dy, { transposeA: !transposeA }, bShape, sumB);
      return [needsA ? toA() : undefined, needsB ? toB() : undefined];
    },
  };
}

/** A product as part of the gradient toward an operand of that shape; nothing where it is in the sum. */
function part(
  a: Tensor,
  b: Tensor,
  options: MatmulOptions,
  shape: readonly number[],
  sum: Tensor | undefined,
): Tensor | undefined {
  const plan = productPlan(a, b, options);
  const { matmulAccumulate } = a.backend.kernels;
  if (sum === undefined || matmulAccumulate === undefined || !sameShape(plan.shape, shape)) {
    return fit(matmul(a, b, options), shape);
  }
  matmulAccumulate(sum.storage, a.storage, b.storage, plan.spec);
  return undefined;
}

/** Sums a batch of gradients for an operand that served the whole batch. */
function fit(gradient: Tensor, shape: readonly number[]): Tensor {
  if (sameShape(gradient.shape, shape)) return gradient;
  const { backend } = gradient;
  const size = sizeOf(shape);
  return fromStorage(
    backend,
    backend.kernels.reduce('sum', gradient.storage, 1, gradient.size / size, size),
    shape,
    'f32',
  );
}
