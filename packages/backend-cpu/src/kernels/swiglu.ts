import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

export const swiglu =
  (device: Device): FusedKernels['swiglu'] =>
  (gate, up, length) => {
    const y = device.output(length);
    device.run(opcodes.swiglu, [device.address(y), device.address(gate), device.address(up), length]);
    return y;
  };

export const swigluBackward =
  (device: Device): FusedKernels['swigluBackward'] =>
  (gate, up, dy, length) => {
    const dGate = device.output(length);
    const dUp = device.output(length);
    const operands = [dGate, dUp, gate, up, dy].map((storage) => device.address(storage));
    device.run(opcodes.swigluBackward, [...operands, length]);
    return { dGate, dUp };
  };
