/**
 * What attention and its gradients are made of: products of tiles of 32 rows with 32 rows, 256 invocations each.
 *
 * A tile's rows are read in slices of 32 elements to `a` and `b`, eight vectors of four a row, so that any head size fits into
 * 16 KB. Invocation `local` belongs to row `local / 8`; of a product of rows it has four columns from `4 (local % 8)`, of a row of
 * the output the vector `local % 8` of each slice. `placeOf` spreads what is read at the same time over the banks of memory.
 */
import type { Vector } from './functions.ts';

export const tileRows = 32;
export const sliceSize = 32;

export function slicesOf(headSize: number): number {
  return Math.ceil(headSize / sliceSize);
}

export const attentionTiles = /* wgsl */ `
var<workgroup> a: array<vec4f, 256>;
var<workgroup> b: array<vec4f, 256>;
// [32, 32]: probabilities or slopes.
var<workgroup> weights: array<vec4f, 256>;

fn placeOf(row: u32, vector: u32) -> u32 {
  return row * 8u + (vector ^ ((row >> 2u) & 7u));
}

// Row \`local / 8\` of a times the four rows of b.
fn products(local: u32) -> vec4f {
  let row = local / 8u;
  let column = 4u * (local % 8u);
  var sums = vec4f();
  for (var i = 0u; i < 8u; i++) {
    let x = a[placeOf(row, i)];
    sums += vec4f(
      dot(x, b[placeOf(column, i)]),
      dot(x, b[placeOf(column + 1u, i)]),
      dot(x, b[placeOf(column + 2u, i)]),
      dot(x, b[placeOf(column + 3u, i)]),
    );
  }
  return sums;
}

// Row \`local / 8\` of weights times b: one vector of the slice.
fn mixture(local: u32) -> vec4f {
  let row = local / 8u;
  let vector = local % 8u;
  var sums = vec4f();
  for (var i = 0u; i < 8u; i++) {
    let w = weights[row * 8u + i];
    sums += w.x * b[placeOf(4u * i, vector)];
    sums += w.y * b[placeOf(4u * i + 1u, vector)];
    sums += w.z * b[placeOf(4u * i + 2u, vector)];
    sums += w.w * b[placeOf(4u * i + 3u, vector)];
  }
  return sums;
}
`;

/** `slice_<operand>(valid, from, slice, local)`: an invocation's vector of a slice of the row that begins at `start`; 0 beyond it. */
export function sliceOf(operand: string, type: Vector): string {
  return /* wgsl */ `
fn slice_${operand}(valid: bool, start: u32, slice: u32, local: u32) -> vec4f {
  let at = slice * ${sliceSize}u + 4u * (local % 8u);
  if (!valid || at >= p.headSize) {
    return vec4f();
  }
  ${
    type === 'vec4f'
      ? `return load_${operand}((start + at) >> 2u);`
      : `var values = vec4f();
  for (var i = 0u; i < min(4u, p.headSize - at); i++) {
    values[i] = load_${operand}(start + at + i);
  }
  return values;`
  }
}`;
}

/** Stores the vector of slice `slice` of the row that begins at `start`. */
export function storeSlice(operand: string, type: Vector): string {
  return /* wgsl */ `
fn storeSlice_${operand}(start: u32, slice: u32, local: u32, values: vec4f) {
  let at = slice * ${sliceSize}u + 4u * (local % 8u);
  if (at >= p.headSize) {
    return;
  }
  ${
    type === 'vec4f'
      ? `store_${operand}((start + at) >> 2u, values);`
      : `for (var i = 0u; i < min(4u, p.headSize - at); i++) {
    store_${operand}(start + at + i, values[i]);
  }`
  }
}`;
}

/** `into` += the products of the rows of two operands, slice by slice. */
export function multiplyRows(into: string, slices: number, left: string, right: string): string {
  return /* wgsl */ `
    for (var slice = 0u; slice < ${slices}u; slice++) {
      a[placeOf(local / 8u, local % 8u)] = ${left};
      b[placeOf(local / 8u, local % 8u)] = ${right};
      workgroupBarrier();
      ${into} += products(local);
      workgroupBarrier();
    }`;
}

/**
 * `use`, which calls `mixture`, for each `slice` of the rows that the weights mix; the weights may change afterwards. A vector of
 * `use` is found by an index that is no constant: it is touched once where `mixture` reads forty.
 */
export function mixRows(slices: number, rows: string, use: string): string {
  return /* wgsl */ `
    for (var slice = 0u; slice < ${slices}u; slice++) {
      b[placeOf(local / 8u, local % 8u)] = ${rows};
      workgroupBarrier();
      ${use}
      workgroupBarrier();
    }`;
}
