import { result } from '../tensor/record.ts';
import { commonBackend, fromStorage, requireSameShape, type Tensor } from '../tensor/tensor.ts';
import { mul } from './binary.ts';
import { silu } from './silu.ts';

/** silu(gate) * up (Shazeer 2020, arXiv 2002.05202). */
export function swiglu(gate: Tensor, up: Tensor): Tensor {
  requireSameShape('swiglu', gate, up);
  const backend = commonBackend('swiglu', [gate, up]);
  const { kernels } = backend;
  if (kernels.swiglu === undefined || kernels.swigluBackward === undefined) return mul(silu(gate), up);
  const { size, shape } = gate;
  return result('swiglu', [gate, up], kernels.swiglu(gate.storage, up.storage, size), shape, () => ({
    saved: [gate, up],
    gradient: (dy, [g, u]) => {
      const { dGate, dUp } = kernels.swigluBackward!(g!.storage, u!.storage, dy.storage, size);
      return [fromStorage(backend, dGate, shape, 'f32'), fromStorage(backend, dUp, shape, 'f32')];
    },
  }));
}
