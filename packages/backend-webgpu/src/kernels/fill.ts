import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';

/** Words are written as they are, so that infinities and NaN, which WGSL need not carry, come through. */
const program: Program = {
  name: 'fill',
  operands: { y: 'write u32' },
  parameters: { word: 'u32', length: 'u32' },
  workgroup: 256,
  body: `
  let i = group * 256 + local;
  if (i < p.length) { store_y(i, p.word); }`,
};

export const fill =
  (device: Device): Primitives['fill'] =>
  (value, length, dtype) => {
    const y = device.output(length, dtype);
    const word = new Uint32Array((dtype === 'f32' ? Float32Array.of(value) : Int32Array.of(value)).buffer)[0]!;
    device.run(program, { operands: { y }, parameters: { word, length }, workgroups: Math.ceil(length / 256) });
    return y;
  };
