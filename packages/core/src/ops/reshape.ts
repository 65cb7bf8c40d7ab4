import type { Shape } from '../backend/kernels.ts';
import { recordNode } from '../tensor/record.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** The same elements under another shape of the same size; shares storage. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const from = x.shape;
  return x.alias(
    shape,
    recordNode('reshape', [x], () => ({ gradient: (dy) => [dy.alias(from)] })),
  );
}

/** All leading axes as one: [rows, last]. */
export function flattenRows(x: Tensor): Tensor {
  const last = x.shape.at(-1) ?? 1;
  return reshape(x, [last === 0 ? 0 : x.size / last, last]);
}
