import { result } from '../tensor/record.ts';
import { fromStorage, type Tensor } from '../tensor/tensor.ts';
import { mul } from './binary.ts';
import { sigmoid } from './unary.ts';

/** x / (1 + exp(-x)) (Elfwing et al. 2018, arXiv 1702.03118). */
export function silu(x: Tensor): Tensor {
  const { kernels } = x.backend;
  const { silu: forward, siluBackward } = kernels;
  if (forward === undefined || siluBackward === undefined) return mul(x, sigmoid(x));
  const { backend, size, shape } = x;
  return result('silu', [x], kernels.silu!(x.storage, size), shape, () => ({
    saved: [x],
    gradient: (dy, [input]) => [
      fromStorage(backend, kernels.siluBackward!(input!.storage, dy.storage, size), shape, 'f32'),
    ],
  }));
}
