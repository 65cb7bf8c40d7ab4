import type { BinaryOp } from '../backend/kernels.ts';
import { result, type GradientRule } from '../tensor/record.ts';
import { broadcastShapes, padShape } from '../tensor/shape.ts';
import { commonBackend, type Tensor } from '../tensor/tensor.ts';
import { sumTo } from './sum-to.ts';
import { scale } from './scale.ts';

function apply(op: BinaryOp, a: Tensor, b: Tensor, rule?: () => GradientRule): Tensor {
  const { kernels } = commonBackend(op, [a, b]);
  const shape = broadcastShapes(a.shape, b.shape, op);
  const rank = shape.length;
  const storage = kernels.binary(op, a.storage, padShape(a.shape, rank), b.storage, padShape(b.shape, rank));
  return result(op, [a, b], storage, shape, rule);
}

/** a + b, with NumPy's broadcasting (as all of these). */
export function add(a: Tensor, b: Tensor): Tensor {
  const [aShape, bShape] = [a.shape, b.shape];
  return apply('add', a, b, () => ({
    gradient: (dy, _, [needA, needB]) => [needA ? sumTo(dy, aShape) : undefined, needB ? sumTo(dy, bShape) : undefined],
  }));
}

export function sub(a: Tensor, b: Tensor): Tensor {
  const [aShape, bShape] = [a.shape, b.shape];
  return apply('sub', a, b, () => ({
    gradient: (dy, _, [needA, needB]) => [
      needA ? sumTo(dy, aShape) : undefined,
      needB ? scale(sumTo(dy, bShape), -1) : undefined,
    ],
  }));
}

export function mul(a: Tensor, b: Tensor): Tensor {
  const [aShape, bShape] = [a.shape, b.shape];
  // Each factor is the other's derivative: a frozen side needs nothing saved for it.
  const [needsA, needsB] = [a.requiresGrad, b.requiresGrad];
  return apply('mul', a, b, () => ({
    saved: [...(needsB ? [a] : []), ...(needsA ? [b] : [])],
    gradient: (dy, saved) => [
      needsA ? sumTo(mul(dy, saved.at(-1)!), aShape) : undefined,
      needsB ? sumTo(mul(dy, saved[0]!), bShape) : undefined,
    ],
  }));
}

export function div(a: Tensor, b: Tensor): Tensor {
  const [aShape, bShape] = [a.shape, b.shape];
  const needsB = b.requiresGrad;
  return apply('div', a, b, () => ({
    saved: needsB ? [b, a] : [b],
    gradient: (dy, [divisor, dividend], [needA]) => [
      needA ? sumTo(div(dy, divisor!), aShape) : undefined,
      needsB ? scale(sumTo(div(mul(dy, dividend!), mul(divisor!, divisor!)), bShape), -1) : undefined,
    ],
  }));
}

/** The greater of both; where equal, the gradient goes to `a`. */
export function maximum(a: Tensor, b: Tensor): Tensor {
  return select('max', a, b);
}

/** The lesser of both; where equal, the gradient goes to `a`. */
export function minimum(a: Tensor, b: Tensor): Tensor {
  return select('min', a, b);
}

function select(op: 'max' | 'min', a: Tensor, b: Tensor): Tensor {
  const [aShape, bShape] = [a.shape, b.shape];
  return apply(op, a, b, () => ({
    saved: [a, b],
    gradient: (dy, [left, right]) => {
      const takesA = op === 'max' ? lessEqual(right!, left!) : lessEqual(left!, right!);
      const toA = mul(dy, takesA);
      return [sumTo(toA, aShape), sumTo(sub(dy, toA), bShape)];
    },
  }));
}

/** 1 where a = b, else 0. No gradient. */
export const equal = (a: Tensor, b: Tensor): Tensor => apply('equal', a, b);
/** 1 where a < b, else 0. No gradient. */
export const less = (a: Tensor, b: Tensor): Tensor => apply('less', a, b);
/** 1 where a <= b, else 0. No gradient. */
export const lessEqual = (a: Tensor, b: Tensor): Tensor => apply('lessEqual', a, b);
