import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { sigmoidOf } from '../wgsl/functions.ts';
import { elementwise } from './elementwise-program.ts';

const forward = elementwise({
  name: 'swiglu',
  reads: ['gate', 'up'],
  writes: ['y'],
  declarations: sigmoidOf,
  body: /* wgsl */ `
  let gate = load_gate(i);
  store_y(i, gate * sigmoidOf(gate) * load_up(i));`,
});

const backward = elementwise({
  name: 'swigluBackward',
  reads: ['gate', 'up', 'dy'],
  writes: ['dGate', 'dUp'],
  declarations: sigmoidOf,
  body: /* wgsl */ `
  let gate = load_gate(i);
  let dy = load_dy(i);
  let s = sigmoidOf(gate);
  store_dUp(i, dy * (gate * s));
  store_dGate(i, dy * load_up(i) * siluSlope(gate, s));`,
});

export const swiglu =
  (device: Device): FusedKernels['swiglu'] =>
  (gate, up, length) => {
    const y = device.output(length);
    const { program, ...call } = forward(length);
    device.run(program, { ...call, operands: { gate, up, y } });
    return y;
  };

export const swigluBackward =
  (device: Device): FusedKernels['swigluBackward'] =>
  (gate, up, dy, length) => {
    const dGate = device.output(length);
    const dUp = device.output(length);
    const { program, ...call } = backward(length);
    device.run(program, { ...call, operands: { gate, up, dy, dGate, dUp } });
    return { dGate, dUp };
  };
