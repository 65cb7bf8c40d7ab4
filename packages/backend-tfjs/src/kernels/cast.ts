import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { EngineTensor } from '../engines/engine.ts';

export const cast =
  (device: Device): Primitives['cast'] =>
  (storage, length, to) =>
    device.output(
      length,
      () => {
        const x = device.operand(storage, [length]);
        if (storage.dtype === to) return x;
        if (to === 'f32') return device.run('Cast', { x }, { dtype: 'float32' });
        return device.quirks.castSaturates
          ? device.run('Cast', { x }, { dtype: 'int32' })
          : saturated(device, x, length);
      },
      to,
    );

/** Engines agree on numbers that an i32 holds, and on no others: those are chosen apart. */
function saturated(device: Device, x: EngineTensor, length: number): EngineTensor {
  const isNumber = device.run('Equal', { a: x, b: x });
  const number = device.run('Select', { condition: isNumber, t: x, e: device.filled(0, length) });
  const atLeast = device.run('Maximum', { a: number, b: device.scalar(-(2 ** 31)) });
  const inside = device.run('Less', { a: number, b: device.scalar(2 ** 31) });
  const small = device.run('Select', { condition: inside, t: atLeast, e: device.filled(0, length) });
  const whole = device.run('Cast', { x: small }, { dtype: 'int32' });
  return device.run('Select', { condition: inside, t: whole, e: device.filled(2 ** 31 - 1, length, 'i32') });
}
