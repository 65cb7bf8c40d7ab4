import type { Primitives, ReduceOp, Storage } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { memoized } from './memoized.ts';
import { maxAndMin } from '../wgsl/not-a-number.ts';
import { fillWith } from './fill.ts';

/** How two values become one, and where to begin: maxima at the first element, since WGSL has no literal for infinity. */
const ops: Record<ReduceOp, { combine: string; begin: string }> = {
  sum: { combine: 'a + b', begin: '0.0' },
  max: { combine: 'greater(a, b)', begin: 'load_x(first)' },
  min: { combine: 'lesser(a, b)', begin: 'load_x(first)' },
};

const declarations = (op: ReduceOp): string => /* wgsl */ `${maxAndMin('f32')}
fn combine(a: f32, b: f32) -> f32 { return ${ops[op].combine}; }`;

/** What is left when nothing was combined, as bits: 0, -Infinity, Infinity. */
const ofNothing: Record<ReduceOp, number> = { sum: 0, max: 0xff800000, min: 0x7f800000 };

/** `p.axis` elements, `p.inner` apart, are cut into `p.pieces` of `p.piece` each; a result for each piece. */
const parameters = { axis: 'u32', inner: 'u32', piece: 'u32', pieces: 'u32', results: 'u32' } as const;

/** inner = 1: the lanes of a workgroup share a row, and combine what each has found in the order of a tree. */
const rowProgram = memoized((op: ReduceOp, lanes: number): Program => ({
  name: `reduce ${op}`,
  operands: { x: 'read f32', y: 'write f32' },
  parameters,
  workgroup: 256,
  declarations: /* wgsl */ `${declarations(op)}
var<workgroup> found: array<f32, 256>;`,
  body: /* wgsl */ `
  let result = group * ${256 / lanes}u + local / ${lanes}u;
  let lane = local % ${lanes}u;
  if (result < p.results) {
    let begin = result % p.pieces * p.piece;
    let end = min(begin + p.piece, p.axis);
    let first = result / p.pieces * p.axis + begin;
    var value = ${ops[op].begin};
    for (var i = lane; i < end - begin; i += ${lanes}u) { value = combine(value, load_x(first + i)); }
    found[local] = value;
  }
  workgroupBarrier();
  for (var half = ${lanes / 2}u; half > 0u; half /= 2u) {
    if (lane < half) { found[local] = combine(found[local], found[local + half]); }
    workgroupBarrier();
  }
  if (result < p.results && lane == 0u) { store_y(result, found[local]); }`,
}));

/** inner > 1: an invocation for each result; neighbours read neighbours. */
const columnProgram = memoized((op: ReduceOp): Program => ({
  name: `reduce ${op}`,
  operands: { x: 'read f32', y: 'write f32' },
  parameters,
  workgroup: 64,
  declarations: declarations(op),
  body: /* wgsl */ `
  let result = group * 64u + local;
  if (result >= p.results) { return; }
  let row = result / p.inner;
  let begin = row % p.pieces * p.piece;
  let end = min(begin + p.piece, p.axis);
  let first = (row / p.pieces * p.axis + begin) * p.inner + result % p.inner;
  var value = ${ops[op].begin};
  for (var i = 0u; i < end - begin; i++) { value = combine(value, load_x(first + i * p.inner)); }
  store_y(result, value);`,
}));

/** Results at which a device is busy; with fewer, long axes are cut into pieces that are reduced once more. */
const enough = 4096;

/** How many elements a lane, or an invocation, goes through at most while results are few. */
const longest = 64;

/** Elements of a piece; the whole axis where it need not be cut. */
export function pieceOf(outer: number, axis: number, inner: number): number {
  const lanes = inner === 1 ? 256 : 1;
  if (outer * inner * lanes >= enough * (inner === 1 ? 16 : 1) || axis <= longest * lanes) return axis;
  return Math.max(longest * lanes, Math.ceil(Math.sqrt(axis * lanes)));
}

export const reduce =
  (device: Device): Primitives['reduce'] =>
  (op, x, outer, axis, inner) => {
    const y = device.output(outer * inner);
    if (axis === 0) fillWith(device, y, ofNothing[op], outer * inner);
    else reduceInto(device, op, x, y, outer, axis, inner);
    return y;
  };

/** Pieces first, then their results; sums are in an order that the shape alone decides. */
export function reduceInto(
  device: Device,
  op: ReduceOp,
  x: Storage,
  y: Storage,
  outer: number,
  axis: number,
  inner: number,
): void {
  const piece = pieceOf(outer, axis, inner);
  const pieces = Math.ceil(axis / piece);
  const results = outer * pieces * inner;
  const target = pieces === 1 ? y : device.scratch(results);
  const lanes = axis > 512 ? 256 : axis > 32 ? 32 : 4;
  device.run(inner === 1 ? rowProgram(op, lanes) : columnProgram(op), {
    operands: { x, y: target },
    parameters: { axis, inner, piece, pieces, results },
    workgroups: inner === 1 ? Math.ceil((results * lanes) / 256) : Math.ceil(results / 64),
  });
  if (pieces > 1) reduceInto(device, op, target, y, outer, pieces, inner);
}
