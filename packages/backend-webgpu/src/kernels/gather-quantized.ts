import type { BlockFormat, FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { decoderOf } from '../wgsl/blocks/index.ts';
import { memoized } from './memoized.ts';
import { blockOperands, blockParameters } from './quantized-operand.ts';

const workgroup = 256;

/** Four elements of a row an invocation; `whole`: rows are made of fours. */
const programOf = memoized((format: BlockFormat, whole: boolean): Program => {
  const decoder = decoderOf(format);
  return {
    name: 'gatherQuantized',
    operands: { ...decoder.operands, indices: 'read i32', y: whole ? 'write vec4f' : 'write f32' },
    parameters: { ...decoder.parameters, length: 'u32', width: 'u32', columns: 'u32' },
    workgroup,
    declarations: decoder.declarations,
    body: /* wgsl */ `${decoder.prepare}
  let i = group * ${workgroup}u + local;
  if (i >= p.length) { return; }
  let row = i / p.width;
  let column = 4u * (i - row * p.width);
  let values = decode4(u32(load_indices(row)) * p.columns + column);
  ${
    whole
      ? 'store_y(i, values);'
      : `for (var j = 0u; j < min(4u, p.columns - column); j++) {
    store_y(row * p.columns + column + j, values[j]);
  }`
  }`,
  };
});

export const gatherQuantized =
  (device: Device): FusedKernels['gatherQuantized'] =>
  (table, format, rows, columns, indices, count) => {
    const y = device.output(count * columns);
    const width = Math.ceil(columns / 4);
    const length = count * width;
    device.run(programOf(format, columns % 4 === 0), {
      operands: { ...blockOperands(device, format, table), indices, y },
      parameters: { ...blockParameters(format, rows, columns), length, width, columns },
      workgroups: Math.ceil(length / workgroup),
    });
    return y;
  };
