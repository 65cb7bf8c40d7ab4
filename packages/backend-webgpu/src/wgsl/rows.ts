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
  const LANES = width > 128 ? 256 : width > 16 ? 32 : 4;
  return { constants: { LANES }, width, workgroups: Math.ceil((rows * LANES) / rowWorkgroup) };
}

/**
 * `rowOf(group, local)`, `laneOf(local)`; `addLanes(local, x)` and `greatestLane(local, x)` give every lane of a row the
 * same. Those are barriers: all invocations have to call them, those beyond the last row too.
 */
export function rowFunctions(type: Vector): string {
  return /* wgsl */ `${acrossComponents(type)}
var<workgroup> lanes: array<f32, ${rowWorkgroup}>;

fn rowOf(group: u32, local: u32) -> u32 {
  return group * (${rowWorkgroup}u / u32(LANES)) + local / u32(LANES);
}
fn laneOf(local: u32) -> u32 {
  return local % u32(LANES);
}
fn addLanes(local: u32, x: f32) -> f32 {
  lanes[local] = x;
  workgroupBarrier();
  for (var half = u32(LANES) / 2u; half > 0u; half /= 2u) {
    if (laneOf(local) < half) {
      lanes[local] += lanes[local + half];
    }
    workgroupBarrier();
  }
  let sum = lanes[local - laneOf(local)];
  workgroupBarrier();
  return sum;
}
fn greatestLane(local: u32, x: f32) -> f32 {
  lanes[local] = x;
  workgroupBarrier();
  for (var half = u32(LANES) / 2u; half > 0u; half /= 2u) {
    if (laneOf(local) < half) {
      lanes[local] = max(lanes[local], lanes[local + half]);
    }
    workgroupBarrier();
  }
  let most = lanes[local - laneOf(local)];
  workgroupBarrier();
  return most;
}`;
}
