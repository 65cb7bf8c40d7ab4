/**
 * What attention and its gradients are made of: products of tiles of 32 rows with 32 rows, by 64 invocations.
 *
 * A tile's rows are read in slices of 32 elements to `a` and `b`, eight vectors of four a row, so that any head size fits into
 * 16 KB. With `tx = local % 8` and `ty = local / 8`, an invocation has the rows `ty`, `ty + 8`, `ty + 16` and `ty + 24`: of a product
 * of rows the four columns from `4 tx`, of a row of the output the vector `tx` of each slice. `placeOf` spreads what is read at the
 * same time over the banks of memory.
 */
import type { Vector } from './functions.ts';

export const tileRows = 32;
export const sliceSize = 32;
export const tileWorkgroup = 64;

export function slicesOf(headSize: number): number {
  return Math.ceil(headSize / sliceSize);
}

/** `text(r)` for each of an invocation's rows. */
export function rows(text: (r: number) => string): string {
  return [0, 1, 2, 3].map(text).join('\n');
}

export const attentionTiles = /* wgsl */ `
var<workgroup> a: array<vec4f, 256>;
var<workgroup> b: array<vec4f, 256>;
// [32, 32]: probabilities or slopes.
var<workgroup> weights: array<vec4f, 256>;

fn placeOf(row: u32, vector: u32) -> u32 {
  return row * 8u + (vector ^ ((row >> 2u) & 7u));
}
fn total(x: vec4f) -> f32 { return (x.x + x.y) + (x.z + x.w); }
fn greatest(x: vec4f) -> f32 { return max(max(x.x, x.y), max(x.z, x.w)); }
`;

/** `slice_<operand>(valid, start, slice, tx)`: an invocation's vector of a slice of the row that begins at `start`; 0 beyond it. */
export function sliceOf(operand: string, type: Vector): string {
  return /* wgsl */ `
fn slice_${operand}(valid: bool, start: u32, slice: u32, tx: u32) -> vec4f {
  let at = slice * ${sliceSize}u + 4u * tx;
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

/** `storeSlice_<operand>(start, slice, tx, values)`: writes the vector of a slice of the row that begins at `start`. */
export function storeSlice(operand: string, type: Vector): string {
  return /* wgsl */ `
fn storeSlice_${operand}(start: u32, slice: u32, tx: u32, values: vec4f) {
  let at = slice * ${sliceSize}u + 4u * tx;
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

/** `into<r>` = the products of rows of two operands, summed slice by slice. `left` and `right` give an invocation's vector of row r. */
export function multiplyRows(
  into: string,
  slices: number,
  left: (r: number) => string,
  right: (r: number) => string,
): string {
  return /* wgsl */ `
${rows((r) => `    var ${into}${r} = vec4f();`)}
    for (var slice = 0u; slice < ${slices}u; slice++) {
${rows((r) => `      a[placeOf(ty + ${8 * r}u, tx)] = ${left(r)};\n      b[placeOf(ty + ${8 * r}u, tx)] = ${right(r)};`)}
      workgroupBarrier();
      for (var i = 0u; i < 8u; i++) {
${rows((r) => `        let b${r} = b[placeOf(4u * tx + ${r}u, i)];`)}
${rows((r) => `        let a${r} = a[placeOf(ty + ${8 * r}u, i)];\n        ${into}${r} += vec4f(dot(a${r}, b0), dot(a${r}, b1), dot(a${r}, b2), dot(a${r}, b3));`)}
      }
      workgroupBarrier();
    }`;
}

/**
 * `into[4 slice + r]` += the rows that the weights mix, where `before<r>` is what there was; the weights may change afterwards. The
 * index is no constant: a vector of `into` is touched once where forty are read.
 */
export function mixRows(
  into: string,
  slices: number,
  mixed: (r: number) => string,
  before: (r: number) => string,
): string {
  return /* wgsl */ `
    for (var slice = 0u; slice < ${slices}u; slice++) {
${rows((r) => `      b[placeOf(ty + ${8 * r}u, tx)] = ${mixed(r)};\n      var m${r} = vec4f();`)}
      workgroupBarrier();
      for (var i = 0u; i < 8u; i++) {
${rows((r) => `        let b${r} = b[placeOf(4u * i + ${r}u, tx)];`)}
${rows((r) => `        let w${r} = weights[(ty + ${8 * r}u) * 8u + i];\n        m${r} += w${r}.x * b0 + w${r}.y * b1 + w${r}.z * b2 + w${r}.w * b3;`)}
      }
${rows((r) => `      ${into}[4u * slice + ${r}u] = ${before(r)} + m${r};`)}
      workgroupBarrier();
    }`;
}
