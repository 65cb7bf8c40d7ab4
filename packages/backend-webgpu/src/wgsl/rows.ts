/**
 * Kernels over the rows of a matrix: LANES invocations of a workgroup of 256 share a row, and add up what each has found in a
 * fixed order. Short rows lie side by side in a workgroup.
 */
import { acrossComponents, type Vector } from './functions.ts';

export const rowWorkgroup = 256;

/** How the rows of [rows, columns] are laid on workgroups. */
export interface RowLayout {
  readonly constants: { readonly LANES: number };
  /** Elements of a row, counted in the program's vectors. */
  readonly width: number;
  readonly workgroups: number;
}

/** Of four each: whole vectors wherever rows are made of them. */
export function vectorOf(columns: number): Vector {
  return columns % 4 === 0 ? 'vec4f' : 'f32';
}

/** Three widths, so that few pipelines are compiled. */
export function layRows(rows: number, columns: number): RowLayout {
  const width = vectorOf(columns) === 'vec4f' ? columns / 4 : columns;
  const LANES = width > 512 ? 256 : width > 16 ? 32 : 4;
  return { constants: { LANES }, width, workgroups: Math.ceil((rows * LANES) / rowWorkgroup) };
}

/** What the lanes of a row have, combined in two rounds of at most 16, each in ascending order. */
function acrossLanes(name: string, combine: (x: string, y: string) => string): string {
  return /* wgsl */ `
fn ${name}(local: u32, x: f32) -> f32 {
  let lane = laneOf(local);
  let first = local - lane;
  lanes[local] = x;
  workgroupBarrier();
  // The second round's values have a place of their own, so that the next call need not wait for who still reads them.
  if (lane < (u32(LANES) + 15u) / 16u) {
    var part = lanes[first + 16u * lane];
    for (var i = 1u; i < min(16u, u32(LANES)); i++) {
      part = ${combine('part', 'lanes[first + 16u * lane + i]')};
    }
    parts[first / 4u + lane] = part;
  }
  workgroupBarrier();
  var whole = parts[first / 4u];
  for (var i = 1u; i < u32(LANES) / 16u; i++) {
    whole = ${combine('whole', 'parts[first / 4u + i]')};
  }
  return whole;
}`;
}

/**
 * `rowOf(group, local)`, `laneOf(local)`; `addLanes(local, x)` and `greatestLane(local, x)` give every lane of a row the
 * same. Those are barriers: all invocations have to call them, those beyond the last row too.
 */
export function rowFunctions(type: Vector): string {
  return /* wgsl */ `${acrossComponents(type)}
var<workgroup> lanes: array<f32, ${rowWorkgroup}>;
var<workgroup> parts: array<f32, ${rowWorkgroup / 4}>;

fn rowOf(group: u32, local: u32) -> u32 {
  return group * (${rowWorkgroup}u / u32(LANES)) + local / u32(LANES);
}
fn laneOf(local: u32) -> u32 {
  return local % u32(LANES);
}
${acrossLanes('addLanes', (x, y) => `${x} + ${y}`)}
${acrossLanes('greatestLane', (x, y) => `max(${x}, ${y})`)}`;
}
