import type { AdamWSpec } from '../backend/kernels.ts';
import { add, div, mul, sub } from '../ops/binary.ts';
import { offset, scale } from '../ops/scale.ts';
import { sqrt } from '../ops/unary.ts';
import { filled, type Tensor } from '../tensor/tensor.ts';

/**
 * One step of AdamW, composed. Each operation rounds on its own, in the order that fused kernels keep to:
 * m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) (g g);
 * p = p (1 - learningRate weightDecay) - (learningRate (m / correction1)) / (sqrt(v / correction2) + epsilon).
 */
export function adamwStep(
  parameter: Tensor,
  gradient: Tensor,
  first: Tensor,
  second: Tensor,
  spec: AdamWSpec,
): { readonly p: Tensor; readonly m: Tensor; readonly v: Tensor } {
  const { learningRate, beta1, beta2, epsilon, weightDecay, correction1, correction2 } = spec;
  const m = add(scale(first, beta1), scale(gradient, 1 - beta1));
  const v = add(scale(second, beta2), scale(mul(gradient, gradient), 1 - beta2));
  const step = div(scale(divideBy(m, correction1), learningRate), offset(sqrt(divideBy(v, correction2)), epsilon));
  return { p: sub(scale(parameter, 1 - learningRate * weightDecay), step), m, v };
}

/** x / number: a division, for a product with the reciprocal rounds differently. */
function divideBy(x: Tensor, divisor: number): Tensor {
  const { backend, shape } = x;
  const ones = shape.map(() => 1);
  return div(x, filled(backend, divisor, ones));
}
