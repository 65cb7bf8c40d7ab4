import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

export const gather =
  (device: Device): Primitives['gather'] =>
  (table, rows, columns, indices, count) => {
    const y = device.output(count * columns);
    const addresses = [y, table, indices].map((storage) => device.address(storage));
    device.run(opcodes.gather, [...addresses, rows, columns, count]);
    return y;
  };

export const scatterAdd =
  (device: Device): Primitives['scatterAdd'] =>
  (source, indices, count, rows, columns) => {
    const y = device.output(rows * columns);
    const addresses = [y, source, indices].map((storage) => device.address(storage));
    device.run(opcodes.scatterAdd, [...addresses, rows, columns, count]);
    return y;
  };
