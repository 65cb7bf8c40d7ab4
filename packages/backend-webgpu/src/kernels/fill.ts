import type { Primitives, Storage } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';

const program: Program = {
  name: 'fill',
  operands: { y: 'write u32' },
  parameters: { word: 'u32', length: 'u32' },
  workgroup: 256,
  body: /* wgsl */ `
  let i = group * 256u + local;
  if (i < p.length) { store_y(i, p.word); }`,
};

/** Writes `word` into all of `length` elements: bits, so that infinities and NaN, which WGSL need not carry, come through. */
export function fillWith(device: Device, y: Storage, word: number, length: number): void {
  device.run(program, { operands: { y }, parameters: { word, length }, workgroups: Math.ceil(length / 256) });
}

export const fill =
  (device: Device): Primitives['fill'] =>
  (value, length, dtype) => {
    const y = device.output(length, dtype);
    const number = dtype === 'f32' ? Float32Array.of(value) : Int32Array.of(value);
    fillWith(device, y, new Uint32Array(number.buffer)[0]!, length);
    return y;
  };
