import { result } from '../tensor/record.ts';
import { filled, type Tensor } from '../tensor/tensor.ts';

/** x times a number. */
export function scale(x: Tensor, factor: number): Tensor {
  return result('scale', [x], withNumber('mul', x, factor), x.shape, () => ({
    gradient: (dy) => [scale(dy, factor)],
  }));
}

/** x plus a number. */
export function offset(x: Tensor, amount: number): Tensor {
  return result('offset', [x], withNumber('add', x, amount), x.shape, () => ({ gradient: (dy) => [dy] }));
}

function withNumber(op: 'mul' | 'add', x: Tensor, value: number): ReturnType<Tensor['backend']['kernels']['fill']> {
  const { backend, shape } = x;
  const ones = shape.map(() => 1);
  const constant = filled(backend, value, ones);
  const storage = backend.kernels.binary(op, x.storage, shape, constant.storage, ones);
  constant.dispose();
  return storage;
}
