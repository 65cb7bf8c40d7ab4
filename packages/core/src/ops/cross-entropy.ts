import { CoreError } from '../errors/core-error.ts';
import { result } from '../tensor/record.ts';
import { noGrad } from '../tensor/scope.ts';
import { shapeText } from '../tensor/shape.ts';
import { commonBackend, fromStorage, tensor, type Tensor } from '../tensor/tensor.ts';
import { equal, mul, sub, lessEqual } from './binary.ts';
import { cast } from './cast.ts';
import { reshape } from './reshape.ts';
import { sum } from './reduce.ts';
import { logSumExp } from './softmax.ts';

/**
 * Negative log-likelihood of `targets` [rows] (i32) under softmax(logits [rows, classes]), a row each: [rows].
 * Rows with a negative target count as 0 and get no gradient.
 */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  const [rows = 0, columns = 0] = logits.shape;
  if (logits.shape.length !== 2 || targets.size !== rows || targets.dtype !== 'i32') {
    throw new CoreError(
      'CORE_SHAPE',
      `crossEntropy: needs logits [rows, classes] and i32 targets [rows], got ${shapeText(logits.shape)} and ${targets.dtype} ${shapeText(targets.shape)}`,
    );
  }
  const backend = commonBackend('crossEntropy', [logits, targets]);
  const { kernels } = backend;
  if (kernels.crossEntropy === undefined || kernels.crossEntropyBackward === undefined) {
    return composed(logits, targets);
  }
  const { losses, logSumExp: lseStorage } = kernels.crossEntropy(logits.storage, targets.storage, rows, columns);
  const lse = fromStorage(backend, lseStorage, [rows], 'f32');
  const loss = result('crossEntropy', [logits], losses, [rows], () => ({
    saved: [logits, targets, lse],
    gradient: (dy, [x, t, l]) => [
      fromStorage(
        backend,
        kernels.crossEntropyBackward!(x!.storage, t!.storage, l!.storage, dy.storage, rows, columns),
        [rows, columns],
        'f32',
      ),
    ],
  }));
  lse.dispose();
  return loss;
}

function composed(logits: Tensor, targets: Tensor): Tensor {
  const { backend } = logits;
  const [rows, columns] = logits.shape as [number, number];
  // Class numbers are exact in f32 below 2^24.
  const { chosen, counted } = noGrad(() => {
    const wanted = reshape(cast(targets, 'f32'), [rows, 1]);
    const classes = tensor(
      backend,
      Float32Array.from({ length: columns }, (_, i) => i),
      [1, columns],
    );
    const zero = tensor(backend, [0], [1, 1]);
    return { chosen: equal(wanted, classes), counted: lessEqual(zero, wanted) };
  });
  const picked = sum(mul(logits, chosen), { axis: -1, keepDims: true });
  return reshape(mul(sub(logSumExp(logits), picked), counted), [rows]);
}
