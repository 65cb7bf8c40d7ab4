import { sizeOf, type BinaryOp, type Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { EngineTensor } from '../engines/engine.ts';
import { broadcastShape, joinBroadcast } from './axes.ts';

/** The names that TensorFlow.js has for them. */
const names: Record<BinaryOp, string> = {
  add: 'Add',
  sub: 'Sub',
  mul: 'Multiply',
  div: 'RealDiv',
  max: 'Maximum',
  min: 'Minimum',
  equal: 'Equal',
  less: 'Less',
  lessEqual: 'LessEqual',
};

export const binary =
  (device: Device): Primitives['binary'] =>
  (op, left, leftShape, right, rightShape) => {
    const shape = broadcastShape([leftShape, rightShape]);
    return device.output(sizeOf(shape), () => {
      const [aShape, bShape] = joinBroadcast([leftShape, rightShape], shape);
      const a = device.operand(left, aShape!);
      const b = device.operand(right, bShape!);
      const y = device.run(names[op], { a, b });
      if (y.dtype === 'bool') return device.run('Cast', { x: y }, { dtype: 'float32' });
      return (op === 'max' || op === 'min') && device.quirks.maximumLosesNaN ? withNaN(device, y, a, b) : y;
    });
  };

/** y, but NaN where a or b is: a sum with 0 times both is, and is y elsewhere, but for infinities, which are masked. */
function withNaN(device: Device, y: EngineTensor, a: EngineTensor, b: EngineTensor): EngineTensor {
  const sum = device.run('Add', { a: nanOrZero(device, a), b: nanOrZero(device, b) });
  return device.run('Add', { a: y, b: sum });
}

/** NaN where x is, else 0. */
export function nanOrZero(device: Device, x: EngineTensor): EngineTensor {
  const condition = device.run('Equal', { a: x, b: x });
  const zeros = device.run('Fill', {}, { shape: [...x.shape], value: 0, dtype: 'float32' });
  return device.run('Select', { condition, t: zeros, e: x });
}
