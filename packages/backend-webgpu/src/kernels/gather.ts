import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { fillWith } from './fill.ts';

/** A row that the table does not have is NaN: a mistake must show, and a kernel cannot throw. */
const rowsOf = (type: 'u32' | 'vec4u'): Program => ({
  name: 'gather',
  operands: { table: `read ${type}`, indices: 'read u32', y: `write ${type}` },
  parameters: { rows: 'u32', width: 'u32', length: 'u32' },
  workgroup: 256,
  body: /* wgsl */ `
  let i = group * 256u + local;
  if (i >= p.length) { return; }
  let row = load_indices(i / p.width);
  var value = ${type}(0x7fc00000u);
  if (row < p.rows) { value = load_table(row * p.width + i % p.width); }
  store_y(i, value);`,
});

const [gatherWords, gatherVectors] = [rowsOf('u32'), rowsOf('vec4u')];

export const gather =
  (device: Device): Primitives['gather'] =>
  (table, rows, columns, indices, count) => {
    const y = device.output(count * columns);
    const vector = columns % 4 === 0;
    const width = vector ? columns / 4 : columns;
    const length = count * width;
    device.run(vector ? gatherVectors : gatherWords, {
      operands: { table, indices, y },
      parameters: { rows, width, length },
      workgroups: Math.ceil(length / 256),
    });
    return y;
  };

/**
 * For each source: where the next one of the same row is (`count`: there is none), and in the upper bit whether there is one before.
 * Sums then follow the chain from its first source, in ascending order, and no two invocations write the same element.
 */
const link: Program = {
  name: 'scatterAdd, chains',
  operands: { indices: 'read u32', links: 'write u32' },
  parameters: { count: 'u32' },
  workgroup: 64,
  body: /* wgsl */ `
  let i = group * 64u + local;
  if (i >= p.count) { return; }
  let row = indices[i];
  var next = i + 1u;
  while (next < p.count && indices[next] != row) { next++; }
  var before = i;
  while (before > 0u && indices[before - 1u] != row) { before--; }
  links[i] = next | select(0u, 0x80000000u, before > 0u);`,
};

const addChains: Program = {
  name: 'scatterAdd',
  operands: { source: 'read f32', indices: 'read u32', links: 'read u32', y: 'write f32' },
  parameters: { count: 'u32', rows: 'u32', columns: 'u32', length: 'u32' },
  workgroup: 256,
  body: /* wgsl */ `
  let at = group * 256u + local;
  if (at >= p.length) { return; }
  let column = at % p.columns;
  var i = at / p.columns;
  if ((links[i] & 0x80000000u) != 0u) { return; }
  let row = indices[i];
  var sum = 0.0;
  while (i < p.count) {
    sum += load_source(i * p.columns + column);
    i = links[i] & 0x7fffffffu;
  }
  if (row < p.rows) { store_y(row * p.columns + column, sum); }`,
};

export const scatterAdd =
  (device: Device): Primitives['scatterAdd'] =>
  (source, indices, count, rows, columns) => {
    const y = device.output(rows * columns);
    fillWith(device, y, 0, rows * columns);
    const links = device.scratch(count);
    device.run(link, { operands: { indices, links }, parameters: { count }, workgroups: Math.ceil(count / 64) });
    const length = count * columns;
    device.run(addChains, {
      operands: { source, indices, links, y },
      parameters: { count, rows, columns, length },
      workgroups: Math.ceil(length / 256),
    });
    return y;
  };
