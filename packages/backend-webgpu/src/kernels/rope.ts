import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';

const workgroup = 256;

/**
 * Rotary position embedding (Su et al. 2021, arXiv 2104.09864): a pair (a, b) of a head turns to (a cos - b sin, b cos + a sin),
 * by -sin backwards. An invocation writes one element. A token at a position that the tables do not have is NaN.
 */
const program: Program = {
  name: 'rope',
  operands: { x: 'read f32', cos: 'read f32', sin: 'read f32', positions: 'read u32', y: 'write u32' },
  parameters: {
    length: 'u32',
    heads: 'u32',
    headSize: 'u32',
    pairs: 'u32',
    tableRows: 'u32',
    sign: 'f32',
  },
  workgroup,
  body: /* wgsl */ `
  let i = group * ${workgroup}u + local;
  if (i >= p.length) { return; }
  let at = i % p.headSize;
  let x = load_x(i);
  let position = load_positions(i / (p.heads * p.headSize));
  if (position >= p.tableRows) {
    store_y(i, 0x7fc00000u);
    return;
  }
  if (at >= 2u * p.pairs) {
    store_y(i, bitcast<u32>(x));
    return;
  }
  var pair = at >> 1u;
  var second = (at & 1u) == 1u;
  var apart = 1u;
  if (!INTERLEAVED) {
    second = at >= p.pairs;
    pair = select(at, at - p.pairs, second);
    apart = p.pairs;
  }
  let entry = position * p.pairs + pair;
  let other = load_x(select(i + apart, i - apart, second));
  let turn = select(-p.sign, p.sign, second) * load_sin(entry);
  store_y(i, bitcast<u32>(x * load_cos(entry) + other * turn));`,
};

export const rope =
  (device: Device): FusedKernels['rope'] =>
  (x, cos, sin, positions, spec) => {
    const { tokens, heads, headSize, rotary, pairing, tableRows, inverse } = spec;
    const length = tokens * heads * headSize;
    const y = device.output(length);
    device.run(program, {
      operands: { x, cos, sin, positions, y },
      parameters: { length, heads, headSize, pairs: rotary / 2, tableRows, sign: inverse ? -1 : 1 },
      constants: { INTERLEAVED: pairing === 'interleaved' },
      workgroups: Math.ceil(length / workgroup),
    });
    return y;
  };
