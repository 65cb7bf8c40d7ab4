import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { philox } from '../wgsl/philox.ts';

const workgroup = 256;
/** Elements that one draw decides: 16 bits each. */
const drawn = 8;

/** The mask is core's `dropoutMask`: Philox at [column / 8, row, stream0, stream1]. */
const program: Program = {
  name: 'dropout',
  operands: { x: 'read f32', y: 'write f32' },
  parameters: {
    columns: 'u32',
    blocks: 'u32',
    length: 'u32',
    threshold: 'u32',
    scale: 'f32',
    key0: 'u32',
    key1: 'u32',
    stream0: 'u32',
    stream1: 'u32',
  },
  workgroup,
  declarations: philox,
  body: /* wgsl */ `
  let i = group * ${workgroup}u + local;
  if (i >= p.length) { return; }
  let row = i / p.blocks;
  let block = i % p.blocks;
  let words = philox(vec2u(p.key0, p.key1), vec4u(block, row, p.stream0, p.stream1));
  let first = row * p.columns + block * ${drawn}u;
  let count = min(${drawn}u, p.columns - block * ${drawn}u);
  for (var j = 0u; j < count; j++) {
    let bits = (words[j >> 1u] >> (16u * (j & 1u))) & 0xffffu;
    store_y(first + j, select(0.0, load_x(first + j) * p.scale, bits >= p.threshold));
  }`,
};

export const dropout =
  (device: Device): FusedKernels['dropout'] =>
  (x, spec) => {
    const { rows, columns, probability, key, stream } = spec;
    const y = device.output(rows * columns);
    const blocks = Math.ceil(columns / drawn);
    const length = rows * blocks;
    device.run(program, {
      operands: { x, y },
      parameters: {
        columns,
        blocks,
        length,
        threshold: Math.round(probability * 65536),
        scale: 1 / (1 - probability),
        key0: key[0],
        key1: key[1],
        stream0: stream[0],
        stream1: stream[1],
      },
      workgroups: Math.ceil(length / workgroup),
    });
    return y;
  };
