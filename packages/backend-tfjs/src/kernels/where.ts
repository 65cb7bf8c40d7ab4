import { sizeOf, type Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import { broadcastShape, expand, joinBroadcast } from './axes.ts';

export const where =
  (device: Device): Primitives['where'] =>
  (condition, conditionShape, a, aShape, b, bShape, shape) =>
    device.output(sizeOf(shape), () => {
      // The shape itself may be larger than its operands: it is one more of them.
      const joined = joinBroadcast([conditionShape, aShape, bShape, shape], shape);
      const target = broadcastShape(joined);
      const [c, t, e] = [condition, a, b].map((storage, i) => device.operand(storage, joined[i]!));
      const chosen = device.run('NotEqual', { a: c!, b: device.scalar(0) });
      const numbers = device.run('Cast', { x: chosen }, { dtype: 'float32' });
      const whole = device.run('NotEqual', { a: expand(device, numbers, target), b: device.scalar(0) });
      return device.run('Select', {
        condition: whole,
        t: expand(device, t!, target),
        e: expand(device, e!, target),
      });
    });
