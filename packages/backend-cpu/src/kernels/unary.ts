import type { Primitives, UnaryOp } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

/** The numbers of `kernels/unary.c`. */
const ops: Record<UnaryOp, number> = {
  neg: 0,
  abs: 1,
  sign: 2,
  exp: 3,
  log: 4,
  sqrt: 5,
  reciprocal: 6,
  tanh: 7,
  sigmoid: 8,
};

export const unary =
  (device: Device): Primitives['unary'] =>
  (op, x, length) => {
    const y = device.output(length);
    device.run(opcodes.unary, [device.address(y), device.address(x), ops[op], length]);
    return y;
  };
