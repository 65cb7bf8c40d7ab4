import type { FusedKernels, MatmulSpec, Primitives, Storage } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';
import { bf16PackingBytes } from './bf16-packing.ts';

/** Of `kernels/gemm.h` and `kernels/product.h`: how much of A is packed at a time, by each thread alone or by all together. */
const depth = 256;
const alone = 32;
const rowsAlone = 128;
const rowsTogether = 1024;
const largestTile = 8;

/** Bytes of scratch that `alone` or `together` needs for packed operands. */
export function packingBytes({ threads, productOperands }: Device, batch: number, m: number): number {
  if (productOperands === 'bf16') return bf16PackingBytes(threads);
  const rows =
    batch > 1 || m <= alone ? threads * (rowsAlone + largestTile) : 2 * (Math.min(m, rowsTogether) + largestTile);
  return rows * depth * Float32Array.BYTES_PER_ELEMENT;
}

export const matmul =
  (device: Device): Primitives['matmul'] =>
  (a, b, spec) => {
    const c = device.output(spec.batch * spec.m * spec.n);
    multiply(device, c, a, b, spec, false);
    return c;
  };

export const matmulAccumulate =
  (device: Device): FusedKernels['matmulAccumulate'] =>
  (target, a, b, spec) =>
    multiply(device, target, a, b, spec, true);

function multiply(device: Device, c: Storage, a: Storage, b: Storage, spec: MatmulSpec, adds: boolean): void {
  const { batch, m, n, k } = spec;
  device.run(opcodes.matmul, [
    device.address(c),
    device.address(a),
    device.address(b),
    device.scratch(packingBytes(device, batch, m)),
    batch,
    m,
    n,
    k,
    Number(spec.transposeA),
    Number(spec.transposeB),
    Number(spec.batchA),
    Number(spec.batchB),
    Number(adds),
  ]);
}
