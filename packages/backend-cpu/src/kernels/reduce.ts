import type { Primitives, ReduceOp } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

/** The numbers and the piece of `kernels/reduce.c`. */
const ops: Record<ReduceOp, number> = { sum: 0, max: 1, min: 2 };
const piece = 4096;

export const reduce =
  (device: Device): Primitives['reduce'] =>
  (op, x, outer, axis, inner) => {
    const y = device.output(outer * inner);
    const pieces = inner === 1 && axis > piece ? Math.ceil(axis / piece) : 0;
    const partials = device.scratch(outer * pieces * Float32Array.BYTES_PER_ELEMENT);
    device.run(opcodes.reduce, [device.address(y), device.address(x), partials, ops[op], outer, axis, inner]);
    return y;
  };
