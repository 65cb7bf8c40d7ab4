import { CoreError } from '../errors/core-error.ts';
import { result } from '../tensor/record.ts';
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
  const { transposeA = false, transposeB = false } = options;
  const plan = planOf(a, b, transposeA, transposeB);
  const y = multiply(a, b, plan, transposeA, transposeB);
  const [aShape, bShape] = [a.shape, b.shape];
  const [needsA, needsB] = [a.requiresGrad, b.requiresGrad];
  return result('matmul', [a, b], y, [...plan.leading, plan.m, plan.n], () => ({
    saved: [...(needsB ? [a] : []), ...(needsA ? [b] : [])],
    gradient: (dy, saved) => {
      const [left, right] = [saved[0]!, saved.at(-1)!];
      const toA = (): Tensor =>
        fit(
          transposeA
            ? matmul(right, dy, { transposeA: transposeB, transposeB: true })
            : matmul(dy, right, { transposeB: !transposeB }),
          aShape,
        );
      const toB = (): Tensor =>
        fit(
          transposeB
            ? matmul(dy, left, { transposeA: true, transposeB: transposeA })
            : matmul(left, dy, { transposeA: !transposeA }),
          bShape,
        );
      return [needsA ? toA() : undefined, needsB ? toB() : undefined];
    },
  }));
}

interface Plan {
  readonly leading: readonly number[];
  readonly batch: number;
  readonly batchA: boolean;
  readonly batchB: boolean;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

function planOf(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Plan {
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
  return { leading, batch: sizeOf(leading), batchA: aLeading.length > 0, batchB: bLeading.length > 0, m, n, k };
}

function multiply(
  a: Tensor,
  b: Tensor,
  plan: Plan,
  transposeA: boolean,
  transposeB: boolean,
): ReturnType<Tensor['backend']['kernels']['matmul']> {
  const { kernels } = commonBackend('matmul', [a, b]);
  const { batch, batchA, batchB, m, n, k } = plan;
  if (!batchB && !transposeA) {
    // One matrix for all of a's rows: a single taller product.
    return kernels.matmul(a.storage, b.storage, {
      batch: 1,
      m: batch * m,
      n,
      k,
      transposeA,
      transposeB,
      batchA: true,
      batchB: true,
    });
  }
  return kernels.matmul(a.storage, b.storage, { batch, m, n, k, transposeA, transposeB, batchA, batchB });
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
