import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { sigmoidOf } from '../wgsl/functions.ts';
import { elementwise } from './elementwise-program.ts';

const forward = elementwise({
  name: 'silu',
  reads: ['x'],
  writes: ['y'],
  declarations: sigmoidOf,
  body: /* wgsl */ `
  let x = load_x(i);
  store_y(i, x * sigmoidOf(x));`,
});

const backward = elementwise({
  name: 'siluBackward',
  reads: ['x', 'dy'],
  writes: ['dx'],
  declarations: sigmoidOf,
  body: /* wgsl */ `
  let x = load_x(i);
  store_dx(i, load_dy(i) * siluSlope(x, sigmoidOf(x)));`,
});

export const silu =
  (device: Device): FusedKernels['silu'] =>
  (x, length) => {
    const y = device.output(length);
    const { program, ...call } = forward(length);
    device.run(program, { ...call, operands: { x, y } });
    return y;
  };

export const siluBackward =
  (device: Device): FusedKernels['siluBackward'] =>
  (x, dy, length) => {
    const dx = device.output(length);
    const { program, ...call } = backward(length);
    device.run(program, { ...call, operands: { x, dy, dx } });
    return dx;
  };
