/** The bits of a double, and exact arithmetic on pairs of doubles. Only operations that IEEE 754 fixes. */

const number = new Float64Array(1);
const words = new Uint32Array(number.buffer);
const littleEndian = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;
const HIGH = littleEndian ? 1 : 0;
const LOW = 1 - HIGH;

/** Sign, exponent and the top 20 bits of the significand. */
function highWord(x: number): number {
  number[0] = x;
  return words[HIGH]!;
}

/** 2^exponent for -1022 .. 1023, without `**`, which engines are free to round. */
function powerOfTwo(exponent: number): number {
  words[HIGH] = (exponent + 1023) << 20;
  words[LOW] = 0;
  return number[0]!;
}

/** x * 2^exponent, rounded once but where the result is subnormal. */
export function scaleByPowerOfTwo(x: number, exponent: number): number {
  if (exponent > 1023) return x * powerOfTwo(1023) * powerOfTwo(Math.min(exponent - 1023, 1023));
  // From below 2^-1022 in two steps: the first is exact.
  if (exponent < -1022) return x * powerOfTwo(Math.max(exponent + 1022, -1022)) * powerOfTwo(-1022);
  return x * powerOfTwo(exponent);
}

/** x > 0 as significand in [sqrt(1/2), sqrt(2)) times 2^exponent. */
export function splitExponent(x: number): { significand: number; exponent: number } {
  const subnormal = x < 2.2250738585072014e-308;
  const normal = subnormal ? x * 18014398509481984 : x;
  const high = highWord(normal);
  let exponent = (high >>> 20) - 1023 - (subnormal ? 54 : 0);
  words[HIGH] = (high & 0xfffff) | 0x3ff00000;
  let significand = number[0]!;
  if (significand >= Math.SQRT2) {
    significand /= 2;
    exponent++;
  }
  return { significand, exponent };
}

/** The rounding error of the product p = a * b (Dekker 1971). Exact while nothing overflows or is subnormal. */
export function productError(a: number, b: number, p: number): number {
  const splitA = 134217729 * a;
  const aHigh = splitA - (splitA - a);
  const aLow = a - aHigh;
  const splitB = 134217729 * b;
  const bHigh = splitB - (splitB - b);
  const bLow = b - bHigh;
  return aLow * bLow - (p - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
}

/** The rounding error of the sum s = a + b (Knuth). */
export function sumError(a: number, b: number, s: number): number {
  const bPart = s - a;
  return a - (s - bPart) + (b - bPart);
}
