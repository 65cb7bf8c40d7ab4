import type { Primitives, UnaryOp } from '@lowrank/core';
import type { Device } from '../device.ts';
import { sigmoidOf, type Vector } from '../wgsl/functions.ts';
import { elementwise, type ElementwiseCall } from './elementwise-program.ts';

/** With `x` an Element (f32 or vec4f). */
const expressions: Record<UnaryOp, string> = {
  neg: '-x',
  abs: 'abs(x)',
  sign: 'sign(x)',
  exp: 'exp(x)',
  log: 'log(x)',
  sqrt: 'sqrt(x)',
  reciprocal: '1.0 / x',
  tanh: 'tanhOf(x)',
  sigmoid: 'sigmoidOf(x)',
};

/**
 * WGSL's tanh is allowed an absolute error that leaves nothing of a small result. Below 5/8: x + x^3 P(x^2), P of degree 4
 * interpolating at Chebyshev nodes to 2.1e-8 relative. Above: 1 - 2 e / (1 + e) with e = exp(-2|x|), which cannot overflow.
 */
const tanhOf = (type: Vector): string => /* wgsl */ `
fn tanhOf(x: ${type}) -> ${type} {
  let z = x * x;
  let small = x + x * z * (-0.33333328 + z * (0.13332661 + z * (-0.053834796 + z * (0.020922589 - z * 0.0059907988))));
  let e = expOf(-2.0 * abs(x));
  let large = 1.0 - 2.0 * e / (1.0 + e);
  return select(select(large, -large, x < ${type}(0.0)), small, abs(x) < ${type}(0.625));
}`;

const functions: Partial<Record<UnaryOp, (type: Vector) => string>> = {
  tanh: (type) => sigmoidOf(type) + tanhOf(type),
  sigmoid: sigmoidOf,
};

const callOf = Object.fromEntries(
  Object.entries(expressions).map(([op, expression]) => {
    const declarations = functions[op as UnaryOp] ?? (() => '');
    const body = `
  let x = load_x(i);
  store_y(i, ${expression});`;
    return [op, elementwise({ name: `unary ${op}`, reads: ['x'], writes: ['y'], declarations, body })];
  }),
) as Record<UnaryOp, (length: number) => ElementwiseCall>;

export const unary =
  (device: Device): Primitives['unary'] =>
  (op, x, length) => {
    const y = device.output(length);
    const { program, ...call } = callOf[op](length);
    device.run(program, { ...call, operands: { x, y } });
    return y;
  };
