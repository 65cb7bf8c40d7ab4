import type { Primitives, UnaryOp } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { EngineTensor } from '../engines/engine.ts';

/** The names that TensorFlow.js has for them. */
const names: Record<UnaryOp, string> = {
  neg: 'Neg',
  abs: 'Abs',
  sign: 'Sign',
  exp: 'Exp',
  log: 'Log',
  sqrt: 'Sqrt',
  reciprocal: 'Reciprocal',
  tanh: 'Tanh',
  sigmoid: 'Sigmoid',
};

export const unary =
  (device: Device): Primitives['unary'] =>
  (op, storage, length) =>
    device.output(length, () => {
      const x = device.operand(storage, [length]);
      return op === 'sign' && device.quirks.signIsRough ? signOf(device, x) : device.run(names[op], { x });
    });

/** (0 < x) - (x < 0), and NaN of NaN. */
function signOf(device: Device, x: EngineTensor): EngineTensor {
  const zero = device.scalar(0);
  const [above, below] = [device.run('Less', { a: zero, b: x }), device.run('Less', { a: x, b: zero })].map((side) =>
    device.run('Cast', { x: side }, { dtype: 'float32' }),
  );
  const sign = device.run('Sub', { a: above!, b: below! });
  const isNumber = device.run('Equal', { a: x, b: x });
  return device.run('Select', { condition: isNumber, t: sign, e: x });
}
