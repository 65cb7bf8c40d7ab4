import type { BlockFormat, FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { decoderOf } from '../wgsl/blocks/index.ts';
import { memoized } from './memoized.ts';
import { blockOperands, blockParameters } from './quantized-operand.ts';

const workgroup = 256;

/** Four elements of a row an invocation; `whole`: rows are made of fours. A row that the table does not have is NaN, as `gather`'s. */
const programOf = memoized((format: BlockFormat, whole: boolean): Program => {
  const decoder = decoderOf(format);
  return {
    name: 'gatherQuantized',
    operands: { ...decoder.operands, indices: 'read u32', y: whole ? 'write vec4u' : 'write u32' },
    parameters: { ...decoder.parameters, length: 'u32', width: 'u32', rows: 'u32', columns: 'u32' },
    workgroup,
    declarations: decoder.declarations,
    body: /* wgsl */ `${decoder.prepare}
  let i = group * ${workgroup}u + local;
  if (i >= p.length) { return; }
  let row = i / p.width;
  let column = 4u * (i - row * p.width);
  let index = load_indices(row);
  var values = vec4u(0x7fc00000u);
  if (index < p.rows) { values = bitcast<vec4u>(decode4(index * p.columns + column)); }
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
      parameters: { ...blockParameters(format, rows, columns), length, width, rows, columns },
      workgroups: Math.ceil(length / workgroup),
    });
    return y;
  };
