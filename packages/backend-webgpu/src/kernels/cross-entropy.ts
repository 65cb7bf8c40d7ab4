import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { expOf, lengthOf, type Vector } from '../wgsl/functions.ts';
import { layRows, rowFunctions, rowWorkgroup, vectorOf } from '../wgsl/rows.ts';

/**
 * Logits are the largest arrays of a step, so that they are read once: each lane keeps a running maximum and its sum, as in
 * Milakov & Gimelshein 2018, arXiv 1805.02867. The loss of a target beyond the last column is NaN.
 */
const forward = (type: Vector): Program => ({
  name: 'crossEntropy',
  operands: { logits: `read ${type}`, targets: 'read i32', losses: 'write u32', logSumExp: 'write f32' },
  parameters: { rows: 'u32', width: 'u32', columns: 'u32' },
  workgroup: rowWorkgroup,
  declarations: `${rowFunctions(type)}${expOf(type)}
fn rescale(by: f32) -> f32 {
  return expOf(${type}(max(by, -1000.0)))${type === 'f32' ? '' : '.x'};
}`,
  body: /* wgsl */ `
  let row = rowOf(group, local);
  let valid = row < p.rows;
  let end = select(0u, p.width, valid);
  let start = row * p.width;
  var most = -3.4e38;
  var sum = 0.0;
  for (var j = laneOf(local); j < end; j += u32(LANES)) {
    let x = load_logits(start + j);
    let next = max(most, greatest(x));
    if (next > most) {
      sum *= rescale(most - next);
      most = next;
    }
    sum += total(expOf(x - most));
  }
  let shift = greatestLane(local, most);
  let whole = addLanes(local, sum * rescale(most - shift));
  if (valid && laneOf(local) == 0u) {
    let kept = shift + log(whole);
    let wanted = load_targets(row);
    var loss = 0u;
    if (wanted >= i32(p.columns)) {
      loss = 0x7fc00000u;
    } else if (wanted >= 0) {
      loss = bitcast<u32>(kept - ${type === 'f32' ? 'load_logits(start + u32(wanted))' : 'load_logits(start + u32(wanted) / 4u)[u32(wanted) % 4u]'});
    }
    store_losses(row, loss);
    store_logSumExp(row, kept);
  }`,
});

/** No sums: every element, or vector of four, has an invocation. */
const backward = (type: Vector): Program => ({
  name: 'crossEntropyBackward',
  operands: {
    logits: `read ${type}`,
    targets: 'read i32',
    logSumExp: 'read f32',
    dLosses: 'read f32',
    dLogits: `write ${type}`,
  },
  parameters: { length: 'u32', width: 'u32' },
  workgroup: rowWorkgroup,
  declarations: expOf(type),
  body: /* wgsl */ `
  let i = group * ${rowWorkgroup}u + local;
  if (i >= p.length) { return; }
  let row = i / p.width;
  let wanted = load_targets(row);
  var dx = ${type}(0.0);
  if (wanted >= 0) {
    // Rounding may take the difference above 0 by a unit: expOf is as good there.
    let probability = expOf(load_logits(i) - load_logSumExp(row));
    let column = (i - row * p.width) * ${lengthOf(type)}u;
    let hit = ${type === 'f32' ? 'column' : 'column + vec4u(0u, 1u, 2u, 3u)'} == ${type === 'f32' ? 'u32(wanted)' : 'vec4u(u32(wanted))'};
    dx = (probability - select(${type}(0.0), ${type}(1.0), hit)) * load_dLosses(row);
  }
  store_dLogits(i, dx);`,
});

const forwards = { f32: forward('f32'), vec4f: forward('vec4f') };
const backwards = { f32: backward('f32'), vec4f: backward('vec4f') };

export const crossEntropy =
  (device: Device): FusedKernels['crossEntropy'] =>
  (logits, targets, rows, columns) => {
    const losses = device.output(rows);
    const logSumExp = device.output(rows);
    const { width, ...layout } = layRows(rows, columns);
    const operands = { logits, targets, losses, logSumExp };
    device.run(forwards[vectorOf(columns)], { ...layout, operands, parameters: { rows, width, columns } });
    return { losses, logSumExp };
  };

export const crossEntropyBackward =
  (device: Device): FusedKernels['crossEntropyBackward'] =>
  (logits, targets, logSumExp, dLosses, rows, columns) => {
    const dLogits = device.output(rows * columns);
    const type = vectorOf(columns);
    const width = columns / lengthOf(type);
    const length = rows * width;
    const operands = { logits, targets, logSumExp, dLosses, dLogits };
    const workgroups = Math.ceil(length / rowWorkgroup);
    device.run(backwards[type], { operands, parameters: { length, width }, workgroups });
    return dLogits;
  };
