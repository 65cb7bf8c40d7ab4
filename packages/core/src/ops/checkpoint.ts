import { backward } from '../tensor/backward.ts';
import { recordNode } from '../tensor/record.ts';
import { keep, noGrad, scope, withRecording } from '../tensor/scope.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** What a checkpointed body computes from. */
export interface CheckpointOptions {
  /** The trainable tensors that the body uses. */
  readonly parameters?: readonly Tensor[];
  /** Other tensors that it reads: they are held for the second run and handed to it. */
  readonly constants?: readonly Tensor[];
}

type Body = (x: Tensor, constants: readonly Tensor[]) => Tensor;

/**
 * Activation checkpointing (Chen et al. 2016, arXiv 1604.06174): runs `body` without keeping its intermediates and
 * runs it again in backward. `body` must be a pure function of x, constants and parameters; masks named by step and
 * path (as dropout's are) come out the same both times.
 */
export function checkpoint(body: Body, x: Tensor, options: CheckpointOptions = {}): Tensor {
  const { parameters = [], constants = [] } = options;
  const y = scope(() => noGrad(() => body(x, constants)));
  const node = recordNode('checkpoint', [x, ...parameters], () => ({
    saved: [x, ...constants],
    gradient: (dy, [input, ...held], [needsX]) => [rerun(body, input!, held, dy, needsX!)],
  }));
  if (node === undefined) return y;
  const recorded = y.alias(y.shape, node);
  y.dispose();
  return recorded;
}

/** The gradient toward x; those toward parameters go straight to their `grad`. */
function rerun(
  body: Body,
  input: Tensor,
  constants: readonly Tensor[],
  dy: Tensor,
  needsX: boolean,
): Tensor | undefined {
  const x = keep(input.detach());
  x.requiresGrad = needsX;
  scope(() =>
    withRecording(true, () => {
      backward(body(x, constants), dy);
      return undefined;
    }),
  );
  const dx = x.grad?.detach();
  x.dispose();
  return dx;
}
