import { result } from '../tensor/record.ts';
import { fromStorage, type Tensor } from '../tensor/tensor.ts';
import { add, div, sub } from './binary.ts';
import { max, sum } from './reduce.ts';
import { exp, log } from './unary.ts';
import { noGrad } from '../tensor/scope.ts';

/** exp(x) / sum(exp(x)) over the last axis, shifted by the maximum. */
export function softmax(x: Tensor): Tensor {
  const { backend, shape } = x;
  const { kernels } = backend;
  if (kernels.softmax === undefined || kernels.softmaxBackward === undefined) {
    const e = exp(shifted(x).x);
    return div(e, sum(e, { axis: -1, keepDims: true }));
  }
  const columns = shape.at(-1)!;
  const rows = columns === 0 ? 0 : x.size / columns;
  return result('softmax', [x], kernels.softmax(x.storage, rows, columns), shape, (y) => ({
    saved: [y],
    gradient: (dy, [output]) => [
      fromStorage(backend, kernels.softmaxBackward!(output!.storage, dy.storage, rows, columns), shape, 'f32'),
    ],
  }));
}

/** log(sum(exp(x))) over the last axis, which stays as one of size 1. */
export function logSumExp(x: Tensor): Tensor {
  const { x: centred, top } = shifted(x);
  return add(log(sum(exp(centred), { axis: -1, keepDims: true })), top);
}

/** x less its row maximum. The maximum is a constant: it cancels in the gradient. */
function shifted(x: Tensor): { x: Tensor; top: Tensor } {
  const top = noGrad(() => max(x, { axis: -1, keepDims: true }));
  return { x: sub(x, top), top };
}
