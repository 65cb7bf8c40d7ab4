import { backward } from '../tensor/backward.ts';
import { needsRecord, recordNode } from '../tensor/record.ts';
import { noGrad, scope, withRecording } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { mul } from './binary.ts';

/**
 * body(x), a single element, with its gradient found at once: the intermediates of `body` are freed before this
 * returns and only the gradient toward x is kept. For a loss over a wide output, whose logits would otherwise live
 * until backward. `body` must use no trainable tensor but x.
 */
export function eagerGradient(body: (x: Tensor) => Tensor, x: Tensor): Tensor {
  if (!needsRecord([x])) return scope(() => noGrad(() => body(x)));
  return scope(() => {
    const { y, dx } = withRecording(true, () => {
      const leaf = x.detach();
      leaf.requiresGrad = true;
      const value = body(leaf);
      backward(value);
      return { y: value, dx: leaf.grad! };
    });
    const node = recordNode('eagerGradient', [x], () => ({
      saved: [dx],
      gradient: (dy, [gradient]) => [mul(gradient!, dy.alias(gradient!.shape.map(() => 1)))],
    }));
    return y.alias(y.shape, node);
  });
}
