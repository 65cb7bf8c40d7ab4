import { backward } from '../tensor/backward.ts';
import { recordNode } from '../tensor/record.ts';
import { keep, noGrad, scope, withRecording } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';

/**
 * Activation checkpointing (Chen et al. 2016, arXiv 1604.06174): runs `body` without keeping its intermediates and
 * runs it again in backward. `body` must be a pure function of `x` and `parameters`; masks named by step and path (as
 * dropout's are) come out the same both times.
 * @param parameters the trainable tensors that `body` uses.
 */
export function checkpoint(body: (x: Tensor) => Tensor, x: Tensor, parameters: readonly Tensor[]): Tensor {
  const y = scope(() => noGrad(() => body(x)));
  const node = recordNode('checkpoint', [x, ...parameters], () => ({
    saved: [x],
    gradient: (dy, [input], [needsX]) => [rerun(body, input!, dy, needsX!)],
  }));
  if (node === undefined) return y;
  const recorded = y.alias(y.shape, node);
  y.dispose();
  return recorded;
}

/** The gradient toward x; those toward parameters go straight to their `grad`. */
function rerun(body: (x: Tensor) => Tensor, input: Tensor, dy: Tensor, needsX: boolean): Tensor | undefined {
  const x = keep(input.detach());
  x.requiresGrad = needsX;
  scope(() =>
    withRecording(true, () => {
      backward(body(x), dy);
      return undefined;
    }),
  );
  const dx = x.grad?.detach();
  x.dispose();
  return dx;
}
