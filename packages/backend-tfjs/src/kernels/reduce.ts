import type { Primitives, ReduceOp } from '@lowrank/core';
import type { Device } from '../device.ts';
import { nanOrZero } from './binary.ts';

/** TensorFlow.js's kernel, its attribute for the axes, and what reducing nothing gives. */
const reductions: Record<ReduceOp, { kernel: string; axes: string; ofNothing: number }> = {
  sum: { kernel: 'Sum', axes: 'axis', ofNothing: 0 },
  max: { kernel: 'Max', axes: 'reductionIndices', ofNothing: Number.NEGATIVE_INFINITY },
  min: { kernel: 'Min', axes: 'axis', ofNothing: Number.POSITIVE_INFINITY },
};

export const reduce =
  (device: Device): Primitives['reduce'] =>
  (op, storage, outer, axis, inner) => {
    const { kernel, axes, ofNothing } = reductions[op];
    return device.output(outer * inner, () => {
      if (axis === 0) return device.filled(ofNothing, outer * inner);
      const x = device.operand(storage, inner === 1 ? [outer, axis] : [outer, axis, inner]);
      const y = device.run(kernel, { x }, { [axes]: [1], keepDims: false });
      if (op === 'sum' || !device.quirks.maximumLosesNaN) return y;
      const sum = device.run('Sum', { x: nanOrZero(device, x) }, { axis: [1], keepDims: false });
      return device.run('Add', { a: y, b: sum });
    });
  };
