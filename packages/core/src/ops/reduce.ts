import { result } from '../tensor/record.ts';
import { resolveAxis, sizeOf } from '../tensor/shape.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { broadcastTo } from './broadcast-to.ts';
import { equal, mul, div } from './binary.ts';
import { reshape } from './reshape.ts';
import { scale } from './scale.ts';

/** Which axis to reduce (all when absent), and whether it stays as one of size 1. */
export interface ReduceOptions {
  readonly axis?: number;
  readonly keepDims?: boolean;
}

function shapes(
  x: Tensor,
  options: ReduceOptions,
  op: string,
): { flat: [number, number, number]; kept: number[]; out: number[] } {
  if (options.axis === undefined) {
    const kept = x.shape.map(() => 1);
    return { flat: [1, x.size, 1], kept, out: options.keepDims ? kept : [] };
  }
  const axis = resolveAxis(options.axis, x.shape.length, op);
  const kept = x.shape.with(axis, 1);
  return {
    flat: [sizeOf(x.shape.slice(0, axis)), x.shape[axis]!, sizeOf(x.shape.slice(axis + 1))],
    kept,
    out: options.keepDims ? kept : x.shape.toSpliced(axis, 1),
  };
}

/** Sum over an axis, or over everything. */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  const { flat, kept, out } = shapes(x, options, 'sum');
  const xShape = x.shape;
  return result('sum', [x], x.backend.kernels.reduce('sum', x.storage, ...flat), out, () => ({
    gradient: (dy) => [broadcastTo(dy.alias(kept), xShape)],
  }));
}

/** Mean over an axis, or over everything. */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  const { flat } = shapes(x, options, 'mean');
  return scale(sum(x, options), 1 / flat[1]);
}

/** Greatest along an axis, or of everything; the gradient is shared equally among equals. */
export function max(x: Tensor, options: ReduceOptions = {}): Tensor {
  const { flat, kept, out } = shapes(x, options, 'max');
  return result('max', [x], x.backend.kernels.reduce('max', x.storage, ...flat), out, (y) => ({
    saved: [x, y],
    gradient: (dy, [input, output]) => {
      const hits = equal(input!, reshape(output!, kept));
      const count = sum(hits, options.axis === undefined ? { keepDims: true } : { axis: options.axis, keepDims: true });
      return [mul(hits, div(reshape(dy, kept), count))];
    },
  }));
}
