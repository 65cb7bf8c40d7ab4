import type { Primitives, Storage } from '@lowrank/core';
import type { Device } from '../device.ts';
import { fillProgram } from '../device/fill-program.ts';

/** Writes `word` into all of `length` elements: bits, so that infinities and NaN, which WGSL need not carry, come through. */
export function fillWith(device: Device, y: Storage, word: number, length: number): void {
  device.run(fillProgram, { operands: { y }, parameters: { word, length }, workgroups: Math.ceil(length / 256) });
}

export const fill =
  (device: Device): Primitives['fill'] =>
  (value, length, dtype) => {
    const number = dtype === 'f32' ? Float32Array.of(value) : Int32Array.of(value);
    return device.filled(new Uint32Array(number.buffer)[0]!, length, dtype);
  };
