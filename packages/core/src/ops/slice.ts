import { CoreError } from '../errors/core-error.ts';
import { result } from '../tensor/record.ts';
import { resolveAxis, shapeText } from '../tensor/shape.ts';
import { filled, type Tensor } from '../tensor/tensor.ts';

/** x[start : start + size] along one axis. */
export function slice(x: Tensor, axis: number, start: number, size: number): Tensor {
  const at = resolveAxis(axis, x.shape.length, 'slice');
  if (!Number.isInteger(start) || !Number.isInteger(size) || start < 0 || size < 0 || start + size > x.shape[at]!) {
    throw new CoreError(
      'CORE_ARGUMENT',
      `slice: ${start} to ${start + size} is outside axis ${at} of ${shapeText(x.shape)}`,
      { value: [start, size] },
    );
  }
  const { backend, shape } = x;
  const starts = shape.map((_, i) => (i === at ? start : 0));
  const sizes = shape.with(at, size);
  return result('slice', [x], backend.kernels.slice(x.storage, shape, starts, sizes), sizes, () => ({
    gradient: (dy) => {
      const dx = filled(backend, 0, shape);
      backend.kernels.writeSlice(dx.storage, shape, dy.storage, starts, sizes);
      return [dx];
    },
  }));
}

/** Writes `source` over target[start ...] in place. Not recorded: target must not need a gradient. */
export function writeSlice(target: Tensor, source: Tensor, start: readonly number[]): void {
  if (target.requiresGrad) {
    throw new CoreError(
      'CORE_NO_GRADIENT',
      'writeSlice: the target needs a gradient; writing in place would make it wrong',
    );
  }
  if (
    source.shape.length !== target.shape.length ||
    start.length !== target.shape.length ||
    target.shape.some((length, i) => start[i]! < 0 || start[i]! + source.shape[i]! > length)
  ) {
    throw new CoreError(
      'CORE_SHAPE',
      `writeSlice: ${shapeText(source.shape)} at ${shapeText(start)} does not lie within ${shapeText(target.shape)}`,
    );
  }
  target.backend.kernels.writeSlice(target.storage, target.shape, source.storage, start, source.shape);
}
