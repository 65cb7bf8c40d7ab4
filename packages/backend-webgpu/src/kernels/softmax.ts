import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { expOf, type Vector } from '../wgsl/functions.ts';
import { layRows, rowFunctions, rowWorkgroup, vectorOf } from '../wgsl/rows.ts';

const forward = (type: Vector): Program => ({
  name: 'softmax',
  operands: { x: `read ${type}`, y: `write ${type}` },
  parameters: { rows: 'u32', width: 'u32' },
  workgroup: rowWorkgroup,
  declarations: rowFunctions(type) + expOf(type),
  body: /* wgsl */ `
  let row = rowOf(group, local);
  let end = select(0u, p.width, row < p.rows);
  let start = row * p.width;
  var most = ${type}(-3.4e38);
  for (var j = laneOf(local); j < end; j += u32(LANES)) {
    most = max(most, load_x(start + j));
  }
  let shift = greatestLane(local, greatest(most));
  var sum = ${type}(0.0);
  for (var j = laneOf(local); j < end; j += u32(LANES)) {
    sum += expOf(load_x(start + j) - shift);
  }
  let whole = addLanes(local, total(sum));
  for (var j = laneOf(local); j < end; j += u32(LANES)) {
    store_y(start + j, expOf(load_x(start + j) - shift) / whole);
  }`,
});

const backward = (type: Vector): Program => ({
  name: 'softmaxBackward',
  operands: { y: `read ${type}`, dy: `read ${type}`, dx: `write ${type}` },
  parameters: { rows: 'u32', width: 'u32' },
  workgroup: rowWorkgroup,
  declarations: rowFunctions(type),
  body: /* wgsl */ `
  let row = rowOf(group, local);
  let end = select(0u, p.width, row < p.rows);
  let start = row * p.width;
  var sum = ${type}(0.0);
  for (var j = laneOf(local); j < end; j += u32(LANES)) {
    sum += load_y(start + j) * load_dy(start + j);
  }
  let dot = addLanes(local, total(sum));
  for (var j = laneOf(local); j < end; j += u32(LANES)) {
    store_dx(start + j, load_y(start + j) * (load_dy(start + j) - dot));
  }`,
});

const forwards = { f32: forward('f32'), vec4f: forward('vec4f') };
const backwards = { f32: backward('f32'), vec4f: backward('vec4f') };

export const softmax =
  (device: Device): FusedKernels['softmax'] =>
  (x, rows, columns) => {
    const y = device.output(rows * columns);
    const { width, ...layout } = layRows(rows, columns);
    device.run(forwards[vectorOf(columns)], { ...layout, operands: { x, y }, parameters: { rows, width } });
    return y;
  };

export const softmaxBackward =
  (device: Device): FusedKernels['softmaxBackward'] =>
  (y, dy, rows, columns) => {
    const dx = device.output(rows * columns);
    const { width, ...layout } = layRows(rows, columns);
    device.run(backwards[vectorOf(columns)], { ...layout, operands: { y, dy, dx }, parameters: { rows, width } });
    return dx;
  };
