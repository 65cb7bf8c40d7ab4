import { joinAxes, sizeOf, stridesOf, type Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { memoized } from './memoized.ts';
import { strided, stridesOfCall } from '../wgsl/strides.ts';

const operandNames = ['condition', 'a', 'b'];

/** What is chosen is moved as bits. The condition is tested by its bits too: NaN is not 0, and -0 is. */
const programOf = memoized((rank: number): Program => {
  const { parameters, code } = strided(rank, operandNames);
  return {
    name: 'where',
    operands: { condition: 'read u32', a: 'read u32', b: 'read u32', y: 'write u32' },
    parameters: { length: 'u32', ...parameters },
    workgroup: 256,
    body: `
  let i = group * 256u + local;
  if (i >= p.length) { return; }
  ${code}
  let holds = (load_condition(at_condition) & 0x7fffffffu) != 0u;
  store_y(i, select(load_b(at_b), load_a(at_a), holds));`,
  };
});

export const where =
  (device: Device): Primitives['where'] =>
  (condition, conditionShape, a, aShape, b, bShape, shape) => {
    const strides = [conditionShape, aShape, bShape].map((operand) => stridesOf(operand, shape));
    const axes = joinAxes(shape, strides);
    const length = sizeOf(shape);
    const y = device.output(length);
    device.run(programOf(axes.length), {
      operands: { condition, a, b, y },
      parameters: { length, ...stridesOfCall(axes, operandNames) },
      workgroups: Math.ceil(length / 256),
    });
    return y;
  };
