/**
 * The dynamic 8-bit map of bitsandbytes (Dettmers 2015, arXiv 1511.04561): 256 numbers from -0.99296874 to 1 in ascending
 * order, dense around zero. For i = 0 .. 6 and n = 2^i the n midpoints of linspace(0.1, 1, n + 1), times +-10^(i - 6); and 0
 * and 1.
 *
 * The reference computes all of it in float32, its linspace with fused multiply-adds from both ends; so does this: the
 * products and sums below are exact in float64 (a step of 24 bits times at most 64, plus a number of 24 bits within a factor
 * of 2^10), and `fround` rounds them once.
 */
const { fround } = Math;

let map: Float32Array | undefined;
let unsigned: Float32Array | undefined;

/** The 256 numbers. The same array each time: not to be changed. */
export function dynamicMap(): Float32Array {
  map ??= makeMap();
  return map;
}

/** The map for what is never negative: 256 numbers from 0 to 1, with n = 2^(i + 1) and no minus. Not to be changed either. */
export function unsignedDynamicMap(): Float32Array {
  unsigned ??= makeMap(true);
  return unsigned;
}

/** Where 0 is in {@link dynamicMap}. */
export const dynamicMapZero = 127;

function makeMap(withoutSign = false): Float32Array {
  const values = new Float32Array(256);
  values[0] = 1;
  let count = 2;
  for (let i = 0; i < 7; i++) {
    const power = fround(10 ** (i - 6));
    const bounds = linspace(2 ** (withoutSign ? i + 1 : i));
    for (let k = 1; k < bounds.length; k++) {
      const value = fround(power * fround(fround(bounds[k - 1]! + bounds[k]!) / 2));
      values[count++] = value;
      if (!withoutSign) values[count++] = -value;
    }
  }
  return values.sort();
}

/** n + 1 numbers from 0.1 to 1. */
function linspace(n: number): Float32Array {
  const [start, end] = [fround(0.1), 1];
  const step = fround(fround(end - start) / n);
  return Float32Array.from({ length: n + 1 }, (_, k) =>
    k < Math.floor((n + 1) / 2) ? step * k + start : end - step * (n - k),
  );
}
