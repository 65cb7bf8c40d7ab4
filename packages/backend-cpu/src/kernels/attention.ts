import type { AttentionSpec, FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';

/** Of `kernels/attention.h` and `kernels/gemm.h`: keys and rows of a block, and the largest tile. */
const blockKeys = 128;
const blockRows = 96;
const tileRows = 8;
const tileColumns = 32;

/** Rows of a block of queries: all heads of a group times as many queries as fit. */
function rowsOfBlock(spec: AttentionSpec): number {
  const group = spec.heads / spec.kvHeads;
  return group > blockRows ? group : group * Math.floor(blockRows / group);
}

/** Rounded up to whole cache lines for each thread. */
function bytesForThreads(threads: number, floats: number): number {
  return threads * (Math.ceil(floats / 16) + 1) * 16 * Float32Array.BYTES_PER_ELEMENT;
}

function sizes(spec: AttentionSpec): number[] {
  return [spec.queries, spec.keys, spec.heads, spec.kvHeads, spec.headSize, spec.scale, spec.segments.length / 4];
}

export const attention =
  (device: Device): FusedKernels['attention'] =>
  (q, k, v, spec) => {
    const output = device.output(spec.queries * spec.heads * spec.headSize);
    const logSumExp = device.output(spec.queries * spec.heads);
    const rows = rowsOfBlock(spec);
    const panel = rows + tileRows;
    const floats =
      (2 * rows + panel + blockKeys) * spec.headSize +
      (rows + panel + tileColumns + spec.headSize) * blockKeys +
      2 * rows;
    const scratch = device.scratch(bytesForThreads(device.threads, floats));
    const operands = [output, logSumExp, q, k, v].map((storage) => device.address(storage));
    device.run(opcodes.attention, [...operands, scratch, ...sizes(spec)], spec.segments);
    return { output, logSumExp };
  };

export const attentionBackward =
  (device: Device): FusedKernels['attentionBackward'] =>
  (q, k, v, output, logSumExp, dOutput, spec) => {
    const dq = device.output(spec.queries * spec.heads * spec.headSize);
    const dk = device.output(spec.keys * spec.kvHeads * spec.headSize);
    const dv = device.output(spec.keys * spec.kvHeads * spec.headSize);
    const rows = rowsOfBlock(spec);
    const panel = rows + tileRows;
    const floats =
      (3 * rows + 2 * panel + 3 * blockKeys) * spec.headSize +
      2 * tileColumns +
      2 * rows * blockKeys +
      panel * (blockKeys + tileRows) +
      blockKeys * tileColumns +
      rows;
    const scratch = device.scratch(bytesForThreads(device.threads, floats));
    const operands = [dq, dk, dv, q, k, v, output, logSumExp, dOutput].map((storage) => device.address(storage));
    device.run(opcodes.attentionBackward, [...operands, scratch, ...sizes(spec)], spec.segments);
    return { dq, dk, dv };
  };
