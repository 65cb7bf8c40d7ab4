import type { UnaryOp } from '../backend/kernels.ts';
import { result } from '../tensor/record.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { div, mul, sub } from './binary.ts';
import { scale } from './scale.ts';

/** dx from dy, x and y. */
type Derivative = { readonly saves: 'x' | 'y' | 'none'; readonly dx: (dy: Tensor, saved: Tensor) => Tensor };

const derivatives: Record<UnaryOp, Derivative> = {
  neg: { saves: 'none', dx: (dy) => neg(dy) },
  abs: { saves: 'x', dx: (dy, x) => mul(dy, sign(x)) },
  sign: { saves: 'none', dx: (dy) => scale(dy, 0) },
  exp: { saves: 'y', dx: (dy, y) => mul(dy, y) },
  log: { saves: 'x', dx: (dy, x) => div(dy, x) },
  sqrt: { saves: 'y', dx: (dy, y) => div(scale(dy, 0.5), y) },
  reciprocal: { saves: 'y', dx: (dy, y) => neg(mul(dy, mul(y, y))) },
  tanh: { saves: 'y', dx: (dy, y) => sub(dy, mul(dy, mul(y, y))) },
  sigmoid: { saves: 'y', dx: (dy, y) => mul(dy, sub(y, mul(y, y))) },
};

function unary(op: UnaryOp, x: Tensor): Tensor {
  const { saves, dx } = derivatives[op];
  return result(op, [x], x.backend.kernels.unary(op, x.storage, x.size), x.shape, (y) => ({
    saved: saves === 'none' ? [] : [saves === 'x' ? x : y],
    gradient: (dy, [saved]) => [dx(dy, saved ?? dy)],
  }));
}

export const neg = (x: Tensor): Tensor => unary('neg', x);
export const abs = (x: Tensor): Tensor => unary('abs', x);
export const sign = (x: Tensor): Tensor => unary('sign', x);
export const exp = (x: Tensor): Tensor => unary('exp', x);
export const log = (x: Tensor): Tensor => unary('log', x);
export const sqrt = (x: Tensor): Tensor => unary('sqrt', x);
export const reciprocal = (x: Tensor): Tensor => unary('reciprocal', x);
export const tanh = (x: Tensor): Tensor => unary('tanh', x);
export const sigmoid = (x: Tensor): Tensor => unary('sigmoid', x);
