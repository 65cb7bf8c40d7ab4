import type { Shape } from '../backend/kernels.ts';
import { fromStorage, type Tensor } from '../tensor/tensor.ts';
import { add } from './binary.ts';

/** x repeated to a shape it broadcasts to. */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  const { backend } = x;
  // Negative zero is the neutral element of addition: it keeps the sign of a zero in x.
  const zeros = fromStorage(
    backend,
    backend.kernels.fill(
      -0,
      shape.reduce((a, b) => a * b, 1),
      'f32',
    ),
    shape,
    'f32',
  );
  const repeated = add(x, zeros);
  zeros.dispose();
  return repeated;
}
