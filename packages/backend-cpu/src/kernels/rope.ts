import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

export const rope =
  (device: Device): FusedKernels['rope'] =>
  (x, cos, sin, positions, spec) => {
    const { tokens, heads, headSize, rotary, pairing, tableRows, inverse } = spec;
    const y = device.output(tokens * heads * headSize);
    const operands = [y, x, cos, sin, positions].map((storage) => device.address(storage));
    const interleaved = Number(pairing === 'interleaved');
    const sizes = [tokens, heads, headSize, rotary, interleaved, tableRows, Number(inverse)];
    device.run(opcodes.rope, [...operands, ...sizes]);
    return y;
  };
