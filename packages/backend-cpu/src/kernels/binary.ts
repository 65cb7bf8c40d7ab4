import { joinAxes, sizeOf, stridesOf, type BinaryOp, type Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';
import { listOf } from './axes.ts';

/** The numbers of `kernels/binary.c`. */
const ops: Record<BinaryOp, number> = {
  add: 0,
  sub: 1,
  mul: 2,
  div: 3,
  max: 4,
  min: 5,
  equal: 6,
  less: 7,
  lessEqual: 8,
};

export const binary =
  (device: Device): Primitives['binary'] =>
  (op, a, aShape, b, bShape) => {
    const shape = aShape.map((size, axis) => (size === 1 ? bShape[axis]! : size));
    const axes = joinAxes(shape, [stridesOf(aShape, shape), stridesOf(bShape, shape)]);
    const y = device.output(sizeOf(shape));
    const args = [device.address(y), device.address(a), device.address(b), ops[op], axes.length];
    device.run(opcodes.binary, args, listOf(axes));
    return y;
  };
