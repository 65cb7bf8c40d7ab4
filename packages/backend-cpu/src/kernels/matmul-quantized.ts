import type { FusedKernels, QuantizedMatmulSpec, Storage } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';
import { blockFormatCode } from './block-formats.ts';
import { packingBytes } from './matmul.ts';

export const matmulQuantized =
  (device: Device): FusedKernels['matmulQuantized'] =>
  (x, weight, spec) => {
    const y = device.output(spec.m * (spec.transposed ? spec.columns : spec.rows));
    multiply(device, y, x, weight, spec, false);
    return y;
  };

export const matmulQuantizedAccumulate =
  (device: Device): FusedKernels['matmulQuantizedAccumulate'] =>
  (target, x, weight, spec) =>
    multiply(device, target, x, weight, spec, true);

function multiply(
  device: Device,
  y: Storage,
  x: Storage,
  weight: Storage,
  spec: QuantizedMatmulSpec,
  adds: boolean,
): void {
  const { format, m, rows, columns, transposed } = spec;
  const operands = [y, x, weight].map((storage) => device.address(storage));
  const scratch = device.scratch(packingBytes(device, 1, m));
  const sizes = [blockFormatCode(format), m, rows, columns, Number(transposed), Number(adds)];
  device.run(opcodes.matmulQuantized, [...operands, scratch, ...sizes]);
}
