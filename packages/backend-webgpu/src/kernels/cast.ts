import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { stridedCopy } from './strided-copy.ts';

/** In halves of 16 bits, each of which is exact: the sum is the only rounding, to nearest even. */
const toFloat: Program = {
  name: 'cast to f32',
  operands: { x: 'read i32', y: 'write f32' },
  parameters: { length: 'u32' },
  workgroup: 256,
  body: /* wgsl */ `
  let i = group * 256u + local;
  if (i >= p.length) { return; }
  let x = load_x(i);
  store_y(i, f32(x >> 16u) * 65536.0 + f32(x & 0xffff));`,
};

/** WGSL leaves open what becomes of values beyond i32, and of NaN. */
const toInteger: Program = {
  name: 'cast to i32',
  operands: { x: 'read f32', y: 'write i32' },
  parameters: { length: 'u32' },
  workgroup: 256,
  body: /* wgsl */ `
  let i = group * 256u + local;
  if (i >= p.length) { return; }
  let x = load_x(i);
  var y = i32(clamp(x, -2147483648.0, 2147483520.0));
  if (x >= 2147483648.0) { y = 2147483647; }
  if ((bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u) { y = 0; }
  store_y(i, y);`,
};

export const cast =
  (device: Device): Primitives['cast'] =>
  (x, length, to) => {
    const y = device.output(length, to);
    if (x.dtype === to) {
      stridedCopy(device, 'read', x, y, 0, [{ size: length, strides: [1] }]);
    } else {
      const workgroups = Math.ceil(length / 256);
      device.run(to === 'i32' ? toInteger : toFloat, { operands: { x, y }, parameters: { length }, workgroups });
    }
    return y;
  };
