import type { Primitives, ReduceOp } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { EngineTensor } from '../engines/engine.ts';
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
      if (op === 'sum' && outer * inner === 1 && device.quirks.sumSplitByThreads) return inPieces(device, x);
      const y = device.run(kernel, { x }, { [axes]: [1], keepDims: false });
      if (op === 'sum' || !device.quirks.maximumLosesNaN) return y;
      const sum = device.run('Sum', { x: nanOrZero(device, x) }, { axis: [1], keepDims: false });
      return device.run('Add', { a: y, b: sum });
    });
  };

/** Short enough for one thread; of several rows, each is summed by one. */
const PIECE = 4096;

/** The sum of x [1, length] over pieces of a fixed length, then over their sums. */
function inPieces(device: Device, x: EngineTensor): EngineTensor {
  const length = x.shape[1]!;
  const sum = (values: EngineTensor): EngineTensor => device.run('Sum', { x: values }, { axis: [1], keepDims: false });
  if (length <= PIECE) return sum(x);
  const pieces = Math.floor(length / PIECE);
  const whole = pieces * PIECE;
  const head = whole === length ? x : device.run('Slice', { x }, { begin: [0, 0], size: [1, whole] });
  const sums = device.reshape(sum(device.reshape(head, [pieces, PIECE])), [1, pieces]);
  if (whole === length) return inPieces(device, sums);
  const tail = device.run('Slice', { x }, { begin: [0, whole], size: [1, length - whole] });
  return inPieces(device, device.run('Concat', [sums, device.reshape(sum(tail), [1, 1])], { axis: 1 }));
}
