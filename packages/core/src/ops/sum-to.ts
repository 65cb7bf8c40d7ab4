import type { Shape } from '../backend/kernels.ts';
import { padShape, sameShape, sizeOf } from '../tensor/shape.ts';
import { fromStorage, type Tensor } from '../tensor/tensor.ts';

/**
 * Sums `x` down to a shape that broadcasts to x's: the gradient of broadcasting. Not recorded.
 * Neighbouring axes that are summed go in one reduction.
 */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x.detach();
  const { backend } = x;
  const target = padShape(shape, x.shape.length);
  const current = [...x.shape];
  let sum = x;
  for (let axis = 0; axis < current.length; axis++) {
    if (target[axis] === current[axis]) continue;
    let end = axis + 1;
    while (end < current.length && target[end] !== current[end]) end++;
    const storage = backend.kernels.reduce(
      'sum',
      sum.storage,
      sizeOf(current.slice(0, axis)),
      sizeOf(current.slice(axis, end)),
      sizeOf(current.slice(end)),
    );
    current.fill(1, axis, end);
    sum = fromStorage(backend, storage, [...current], 'f32');
  }
  return sum.alias(shape);
}
