import { CoreError } from '../errors/core-error.ts';
import { result } from '../tensor/record.ts';
import { shapeText } from '../tensor/shape.ts';
import { commonBackend, fromStorage, type Tensor } from '../tensor/tensor.ts';
import { mul, div } from './binary.ts';
import { mean } from './reduce.ts';
import { offset } from './scale.ts';
import { sqrt } from './unary.ts';

/** x / sqrt(mean(x^2) + epsilon) * weight over the last axis (Zhang & Sennrich 2019, arXiv 1910.07467). */
export function rmsNorm(x: Tensor, weight: Tensor, epsilon: number): Tensor {
  const { shape } = x;
  const columns = shape.at(-1) ?? 0;
  if (weight.shape.length !== 1 || weight.shape[0] !== columns) {
    throw new CoreError('CORE_SHAPE', `rmsNorm: a weight ${shapeText(weight.shape)} does not fit ${shapeText(shape)}`);
  }
  const backend = commonBackend('rmsNorm', [x, weight]);
  const { kernels } = backend;
  if (
    kernels.rmsNorm === undefined ||
    kernels.rmsNormBackward === undefined ||
    kernels.rmsNormWeightBackward === undefined
  ) {
    const meanSquare = mean(mul(x, x), { axis: -1, keepDims: true });
    return mul(div(x, sqrt(offset(meanSquare, epsilon))), weight);
  }
  const rows = columns === 0 ? 0 : x.size / columns;
  return result(
    'rmsNorm',
    [x, weight],
    kernels.rmsNorm(x.storage, weight.storage, rows, columns, epsilon),
    shape,
    () => ({
      saved: [x, weight],
      gradient: (dy, [input, scale], [needX, needWeight]) => [
        needX
          ? fromStorage(
              backend,
              kernels.rmsNormBackward!(input!.storage, scale!.storage, dy.storage, rows, columns, epsilon),
              shape,
              'f32',
            )
          : undefined,
        needWeight
          ? fromStorage(
              backend,
              kernels.rmsNormWeightBackward!(input!.storage, dy.storage, rows, columns, epsilon),
              [columns],
              'f32',
            )
          : undefined,
      ],
    }),
  );
}
