import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import { elementwise } from './elementwise-program.ts';

const add = elementwise({
  name: 'accumulate',
  reads: ['x'],
  writes: ['sum'],
  body: `
  store_sum(i, load_sum(i) + load_x(i));`,
});

export const accumulate =
  (device: Device): Primitives['accumulate'] =>
  (target, source, length) => {
    const { program, ...call } = add(length);
    device.run(program, { ...call, operands: { x: source, sum: target } });
  };
