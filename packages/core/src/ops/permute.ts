import { CoreError } from '../errors/core-error.ts';
import { result } from '../tensor/record.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** Axis i of the result is axis `axes[i]` of x. */
export function permute(x: Tensor, axes: readonly number[]): Tensor {
  if (axes.length !== x.shape.length || axes.toSorted((a, b) => a - b).some((axis, i) => axis !== i)) {
    throw new CoreError(
      'CORE_ARGUMENT',
      `permute: [${axes.join(', ')}] is not a permutation of the ${x.shape.length} axes`,
      { value: axes },
    );
  }
  const inverse = axes.map((_, i) => axes.indexOf(i));
  const storage = x.backend.kernels.permute(x.storage, x.shape, axes);
  return result(
    'permute',
    [x],
    storage,
    axes.map((axis) => x.shape[axis]!),
    () => ({
      gradient: (dy) => [permute(dy, inverse)],
    }),
  );
}

/** Swaps the last two axes. */
export function transpose(x: Tensor): Tensor {
  const axes = x.shape.map((_, i) => i);
  [axes[axes.length - 1], axes[axes.length - 2]] = [axes.length - 2, axes.length - 1];
  return permute(x, axes);
}
