import type { FusedKernels, Storage } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { OperandType, ParameterType, Program } from '../device/program.ts';
import type { Vector } from '../wgsl/functions.ts';
import { fillWith } from './fill.ts';
import { groupsThatBind } from './groups-that-bind.ts';
import { memoized } from './memoized.ts';
import { reduceInto } from './reduce.ts';

const lanes = 256;

/** Elements (or vectors of four) that a workgroup adds up. */
const piece = 64 * lanes;

const squares: Record<Vector, string> = { f32: 'x * x', vec4f: 'dot(x, x)' };

/** A workgroup for each piece of `count` arrays: lanes, then a tree of them. */
const programOf = memoized((count: number, type: Vector): Program => {
  const operands: Record<string, OperandType> = { y: 'write f32' };
  const parameters: Record<string, ParameterType> = { before: 'u32' };
  const lines: string[] = [];
  for (let k = 0; k < count; k++) {
    operands[`x${k}`] = `read ${type}`;
    parameters[`length${k}`] = 'u32';
    parameters[`pieces${k}`] = 'u32';
    lines.push(/* wgsl */ `if (at >= first && at < first + p.pieces${k}) {
    let begin = (at - first) * ${piece}u;
    let end = min(begin + ${piece}u, p.length${k});
    for (var i = begin + local; i < end; i += ${lanes}u) {
      let x = load_x${k}(i);
      sum += ${squares[type]};
    }
  }
  first += p.pieces${k};`);
  }
  return {
    name: 'sumOfSquares',
    operands,
    parameters,
    workgroup: lanes,
    declarations: /* wgsl */ `var<workgroup> found: array<f32, ${lanes}>;`,
    body: /* wgsl */ `
  let at = group;
  var first = 0u;
  var sum = 0.0;
  ${lines.join('\n  ')}
  found[local] = sum;
  workgroupBarrier();
  for (var half = ${lanes / 2}u; half > 0u; half /= 2u) {
    if (local < half) { found[local] += found[local + half]; }
    workgroupBarrier();
  }
  if (local == 0u) { store_y(p.before + at, found[0]); }`,
  };
});

/** As many arrays in a dispatch as the device binds beside the result: seven at least. Then the sum of what was found. */
export const sumOfSquares =
  (device: Device): FusedKernels['sumOfSquares'] =>
  (parts, lengths) => {
    const y = device.output(1);
    const all = parts.map((part, index) => ({ part, length: lengths[index]! }));
    const width = lengths.every((length) => length % 4 === 0) ? 4 : 1;
    const piecesOf = (length: number): number => Math.ceil(length / width / piece);
    const pieces = lengths.reduce((count, length) => count + piecesOf(length), 0);
    if (pieces === 0) {
      fillWith(device, y, 0, 1);
      return y;
    }
    const sums = device.scratch(pieces);
    let before = 0;
    for (const some of groupsThatBind(device.limits, all, [sums], ({ part }) => [part])) {
      const operands: Record<string, Storage> = { y: sums };
      const parameters: Record<string, number> = { before };
      let workgroups = 0;
      for (const [k, { part, length }] of some.entries()) {
        operands[`x${k}`] = part;
        parameters[`length${k}`] = length / width;
        parameters[`pieces${k}`] = piecesOf(length);
        workgroups += piecesOf(length);
      }
      device.run(programOf(some.length, width === 4 ? 'vec4f' : 'f32'), { operands, parameters, workgroups });
      before += workgroups;
    }
    reduceInto(device, 'sum', sums, y, 1, pieces, 1);
    return y;
  };
