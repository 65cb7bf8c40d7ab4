import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import { opcodes } from '../generated/opcodes.ts';
import { inGroups } from './in-groups.ts';

/** Of `kernels/sum-of-squares.c`. */
const piece = 4096;

/** One command for all (of more than a command has room for: one for each some, whose results are added up). */
export const sumOfSquares =
  (device: Device): FusedKernels['sumOfSquares'] =>
  (parts, lengths) => {
    const y = device.output(1);
    const target = device.address(y);
    const all = parts.map((part, index) => ({ address: device.address(part), length: lengths[index]! }));
    if (all.length === 0) device.run(opcodes.fill, [target, 0, 1, 0]);
    for (const [index, group] of inGroups(all).entries()) {
      let pieces = 0;
      const list = group.flatMap(({ address, length }) => {
        const before = pieces;
        pieces += Math.ceil(length / piece);
        return [address, length, before];
      });
      const bytes = (count: number): number => count * Float32Array.BYTES_PER_ELEMENT;
      const [partials, sums] = [device.scratch(bytes(pieces)), device.scratch(bytes(group.length))];
      const result = index === 0 ? target : device.scratch(bytes(1));
      device.run(opcodes.sumOfSquares, [result, partials, sums, pieces, group.length], list);
      if (index > 0) device.run(opcodes.accumulate, [target, result, 1]);
    }
    return y;
  };
