import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import type { Vector } from '../wgsl/functions.ts';
import { layRows, rowFunctions, rowWorkgroup, vectorOf } from '../wgsl/rows.ts';

/** Root mean square normalization (Zhang & Sennrich 2019, arXiv 1910.07467), with r = 1 / sqrt(mean(x^2) + epsilon). */
const squares = (type: Vector): string => /* wgsl */ `
  let row = rowOf(group, local);
  let end = select(0u, p.width, row < p.rows);
  let start = row * p.width;
  var sum = ${type}(0.0);
  for (var j = laneOf(local); j < end; j += u32(LANES)) {
    let x = load_x(start + j);
    sum += x * x;
  }
  let r = inverseSqrt(addLanes(local, total(sum)) / p.columns + p.epsilon);`;

const parameters = { rows: 'u32', width: 'u32', columns: 'f32', epsilon: 'f32' } as const;

/** y = x r weight. */
const forward = (type: Vector): Program => ({
  name: 'rmsNorm',
  operands: { x: `read ${type}`, weight: `read ${type}`, y: `write ${type}` },
  parameters,
  workgroup: rowWorkgroup,
  declarations: rowFunctions(type),
  body: /* wgsl */ `${squares(type)}
  for (var j = laneOf(local); j < end; j += u32(LANES)) {
    store_y(start + j, load_x(start + j) * r * load_weight(j));
  }`,
});

/** With u = x r: dx = r (dy weight - u mean(dy weight u)). */
const backward = (type: Vector): Program => ({
  name: 'rmsNormBackward',
  operands: { x: `read ${type}`, weight: `read ${type}`, dy: `read ${type}`, dx: `write ${type}` },
  parameters,
  workgroup: rowWorkgroup,
  declarations: rowFunctions(type),
  body: /* wgsl */ `${squares(type)}
  var products = ${type}(0.0);
  for (var j = laneOf(local); j < end; j += u32(LANES)) {
    products += load_dy(start + j) * load_weight(j) * (load_x(start + j) * r);
  }
  let mean = addLanes(local, total(products)) / p.columns;
  for (var j = laneOf(local); j < end; j += u32(LANES)) {
    store_dx(start + j, r * (load_dy(start + j) * load_weight(j) - load_x(start + j) * r * mean));
  }`,
});

/** r of every row. */
const inverses = (type: Vector): Program => ({
  name: 'rmsNormWeightBackward',
  operands: { x: `read ${type}`, inverse: 'write f32' },
  parameters,
  workgroup: rowWorkgroup,
  declarations: rowFunctions(type),
  body: /* wgsl */ `${squares(type)}
  if (row < p.rows && laneOf(local) == 0u) {
    store_inverse(row, r);
  }`,
});

/** Columns of a workgroup of the sum over rows; 256 / 16 invocations share a column. */
const tile = 16;

const overRows: Program = {
  name: 'rmsNormWeightBackward',
  operands: { x: 'read f32', dy: 'read f32', inverse: 'read f32', dWeight: 'write f32' },
  parameters: { rows: 'u32', columns: 'u32' },
  workgroup: tile * tile,
  declarations: /* wgsl */ `var<workgroup> parts: array<f32, ${tile * tile}>;`,
  body: /* wgsl */ `
  let column = group * ${tile}u + local % ${tile}u;
  let first = local / ${tile}u;
  var sum = 0.0;
  if (column < p.columns) {
    for (var row = first; row < p.rows; row += ${tile}u) {
      let i = row * p.columns + column;
      sum += load_dy(i) * (load_x(i) * load_inverse(row));
    }
  }
  parts[local] = sum;
  workgroupBarrier();
  for (var half = ${tile / 2}u; half > 0u; half /= 2u) {
    if (first < half) {
      parts[local] += parts[local + half * ${tile}u];
    }
    workgroupBarrier();
  }
  if (first == 0u && column < p.columns) {
    store_dWeight(column, parts[local]);
  }`,
};

const forwards = { f32: forward('f32'), vec4f: forward('vec4f') };
const backwards = { f32: backward('f32'), vec4f: backward('vec4f') };
const inversesOf = { f32: inverses('f32'), vec4f: inverses('vec4f') };

export const rmsNorm =
  (device: Device): FusedKernels['rmsNorm'] =>
  (x, weight, rows, columns, epsilon) => {
    const y = device.output(rows * columns);
    const { width, ...layout } = layRows(rows, columns);
    const operands = { x, weight, y };
    device.run(forwards[vectorOf(columns)], { ...layout, operands, parameters: { rows, width, columns, epsilon } });
    return y;
  };

export const rmsNormBackward =
  (device: Device): FusedKernels['rmsNormBackward'] =>
  (x, weight, dy, rows, columns, epsilon) => {
    const dx = device.output(rows * columns);
    const { width, ...layout } = layRows(rows, columns);
    const operands = { x, weight, dy, dx };
    device.run(backwards[vectorOf(columns)], { ...layout, operands, parameters: { rows, width, columns, epsilon } });
    return dx;
  };

export const rmsNormWeightBackward =
  (device: Device): FusedKernels['rmsNormWeightBackward'] =>
  (x, dy, rows, columns, epsilon) => {
    const dWeight = device.output(columns);
    const inverse = device.scratch(rows);
    const { width, ...layout } = layRows(rows, columns);
    device.run(inversesOf[vectorOf(columns)], {
      ...layout,
      operands: { x, inverse },
      parameters: { rows, width, columns, epsilon },
    });
    device.run(overRows, {
      operands: { x, dy, inverse, dWeight },
      parameters: { rows, columns },
      workgroups: Math.ceil(columns / tile),
    });
    return dWeight;
  };
