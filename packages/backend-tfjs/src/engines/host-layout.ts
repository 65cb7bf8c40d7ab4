/** Layout kernels on integers in host memory. */

function stridesOf(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return strides;
}

/** The elements at `offset` + sum of index * stride, for all indices of `shape` in order. */
function walk(x: Int32Array, offset: number, shape: readonly number[], strides: readonly number[]): Int32Array {
  const out = new Int32Array(shape.reduce((product, size) => product * size, 1));
  const index = shape.map(() => 0);
  let at = offset;
  for (let i = 0; i < out.length; i++) {
    out[i] = x[at]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      at -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

/** Axis i of the result is axis `axes[i]` of x. */
export function permuted(x: Int32Array, shape: readonly number[], axes: readonly number[]): Int32Array {
  const strides = stridesOf(shape);
  return walk(
    x,
    0,
    axes.map((axis) => shape[axis]!),
    axes.map((axis) => strides[axis]!),
  );
}

export function sliced(
  x: Int32Array,
  shape: readonly number[],
  begin: readonly number[],
  size: readonly number[],
): Int32Array {
  const strides = stridesOf(shape);
  return walk(
    x,
    begin.reduce((offset, at, axis) => offset + at * strides[axis]!, 0),
    size,
    strides,
  );
}

/** Parts whose sizes differ on `axis` alone. */
export function joined(
  parts: readonly { readonly values: Int32Array; readonly shape: readonly number[] }[],
  axis: number,
): Int32Array {
  const widths = parts.map(({ shape }) => shape.slice(axis).reduce((product, size) => product * size, 1));
  const outer = parts[0]!.shape.slice(0, axis).reduce((product, size) => product * size, 1);
  const out = new Int32Array(outer * widths.reduce((total, width) => total + width, 0));
  let at = 0;
  for (let row = 0; row < outer; row++) {
    for (const [i, { values }] of parts.entries()) {
      out.set(values.subarray(row * widths[i]!, (row + 1) * widths[i]!), at);
      at += widths[i]!;
    }
  }
  return out;
}
