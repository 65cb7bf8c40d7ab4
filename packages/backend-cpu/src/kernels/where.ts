import { joinAxes, sizeOf, stridesOf, type Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';
import { listOf } from './axes.ts';

export const where =
  (device: Device): Primitives['where'] =>
  (condition, conditionShape, a, aShape, b, bShape, shape) => {
    const axes = joinAxes(
      shape,
      [conditionShape, aShape, bShape].map((operand) => stridesOf(operand, shape)),
    );
    const y = device.output(sizeOf(shape));
    const addresses = [y, condition, a, b].map((storage) => device.address(storage));
    device.run(opcodes.where, [...addresses, axes.length], listOf(axes));
    return y;
  };
