import { CoreError } from '../errors/core-error.ts';
import { dropoutMask } from '../random/dropout-mask.ts';
import { result } from '../tensor/record.ts';
import { tensor, type Tensor } from '../tensor/tensor.ts';
import { mul } from './binary.ts';
import { reshape } from './reshape.ts';

export interface DropoutOptions {
  /** Of being set to zero, in [0, 1). Resolved to 65,536ths. */
  readonly probability: number;
  /** Together these name the mask: the same ones give the same mask on every backend. */
  readonly key: readonly [number, number];
  readonly stream: readonly [number, number];
}

/** x times a random mask of 0 and 1 / (1 - p) (Srivastava et al. 2014). Rows are all axes but the last. */
export function dropout(x: Tensor, options: DropoutOptions): Tensor {
  const { probability, key, stream } = options;
  if (!(probability >= 0 && probability < 1)) {
    throw new CoreError('CORE_ARGUMENT', `dropout: the probability is ${probability}; it lies in [0, 1)`, {
      value: probability,
    });
  }
  if (probability === 0) return reshape(x, x.shape);
  const { backend, shape } = x;
  const columns = shape.at(-1) ?? 1;
  const rows = columns === 0 ? 0 : x.size / columns;
  const { kernels } = backend;
  if (kernels.dropout === undefined) {
    // In float64, and rounded once where the backend has only f32.
    const mask = Float64Array.from(
      dropoutMask(rows, columns, probability, key, stream),
      (kept) => kept / (1 - probability),
    );
    return mul(x, tensor(backend, mask, shape));
  }
  const spec = { rows, columns, probability, key, stream };
  return result('dropout', [x], kernels.dropout(x.storage, spec), shape, () => ({
    gradient: (dy) => [dropout(dy, options)],
  }));
}
