import { result } from '../tensor/record.ts';
import type { Tensor } from '../tensor/tensor.ts';

/** i32 to f32, or f32 to i32 (toward zero). No gradient. */
export function cast(x: Tensor, to: 'f32' | 'i32'): Tensor {
  if (x.dtype === to) return x.detach();
  return result('cast', [x], x.backend.kernels.cast(x.storage, x.size, to), x.shape);
}
