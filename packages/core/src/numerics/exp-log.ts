import { productError, scaleByPowerOfTwo, splitExponent, sumError } from './double-bits.ts';

/** ln 2 as a number of 32 bits, whose product with an exponent is exact, and the rest. */
const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

/** e^x, within 0.7 ulp (1 ulp more where the result is subnormal). */
export function exp(x: number): number {
  return expOfSum(x, 0);
}

/** Terms 1/n! of e^r from n = 13 down to 2: |r| <= ln(2)/2 leaves a remainder below 2^-57. */
const inverseFactorials: readonly number[] = (() => {
  const terms: number[] = [];
  // Factorials up to 13! are exact in a double.
  for (let n = 2, factorial = 2; n <= 13; n++, factorial *= n) terms.unshift(1 / factorial);
  return terms;
})();

/** e^(high + low), with |low| at most an ulp of high. */
function expOfSum(high: number, low: number): number {
  if (Number.isNaN(high)) return high;
  if (high > 709.8) return Infinity;
  if (high < -745.2) return 0;
  const k = Math.round(high * 1.4426950408889634);
  // high - k * LN2_HIGH is exact: both lie on one grid and are close.
  const a = high - k * LN2_HIGH;
  const b = low - k * LN2_LOW;
  const r = a + b;
  const rLow = sumError(a, b, r);
  let tail = 0;
  for (const term of inverseFactorials) tail = tail * r + term;
  // e^r = 1 + r + r^2 tail; the rounding error of 1 + r goes into the small part, so that the last sum decides.
  const whole = 1 + r;
  const small = r - (whole - 1) + (rLow + rLow * r + r * r * tail);
  return scaleByPowerOfTwo(whole + small, k);
}

/** Natural logarithm, within 0.6 ulp. NaN below 0, -Infinity at 0. */
export function log(x: number): number {
  if (!(x > 0 && x < Infinity)) return logOfSpecial(x);
  const { significand, exponent } = splitExponent(x);
  const { s, sLow } = logArgument(significand);
  const square = s * s;
  let series = 0;
  for (const term of oddReciprocals) series = series * square + term;
  return logOfParts(exponent, 2 * s, 2 * (sLow + s * square * series)).high;
}

function logOfSpecial(x: number): number {
  if (x === 0) return -Infinity;
  return x === Infinity ? x : NaN;
}

/** ln m = 2 artanh(s) = 2s + 2s^3/3 + 2s^5/5 + ... with s = (m - 1) / (m + 1), |s| < 0.1716, to twice the precision. */
function logArgument(m: number): { s: number; sLow: number } {
  const numerator = m - 1;
  const denominator = m + 1;
  const denominatorLow = sumError(m, 1, denominator);
  const s = numerator / denominator;
  const product = s * denominator;
  const rest = numerator - product - productError(s, denominator, product) - s * denominatorLow;
  return { s, sLow: rest / denominator };
}

/** 1 / (2n + 1) from n = 14 down to 1; s^28 / 29 is below 2^-76. */
const ODD_TERMS = 14;
const oddReciprocals: readonly number[] = Array.from({ length: ODD_TERMS }, (_, i) => 1 / (2 * (ODD_TERMS - i) + 1));
/** What their rounding left out. */
const oddReciprocalErrors: readonly number[] = oddReciprocals.map((reciprocal, i) => {
  const odd = 2 * (ODD_TERMS - i) + 1;
  const product = reciprocal * odd;
  return (1 - product - productError(reciprocal, odd, product)) / odd;
});

/** exponent * ln 2 + high + low, as a normalised pair. */
function logOfParts(exponent: number, high: number, low: number): { high: number; low: number } {
  const base = exponent * LN2_HIGH;
  const sum = base + high;
  const rest = sumError(base, high, sum) + (exponent * LN2_LOW + low);
  const total = sum + rest;
  return { high: total, low: rest - (total - sum) };
}

/** ln x for finite x > 0 as a sum of two doubles, to about 2^-70 of itself or 2^-75. */
function logPair(x: number): { high: number; low: number } {
  const { significand, exponent } = splitExponent(x);
  const { s, sLow } = logArgument(significand);
  // Horner's rule on pairs in s^2: each product and sum carries its rounding error along.
  const square = s * s;
  const squareLow = productError(s, s, square) + 2 * s * sLow;
  let high = 0;
  let low = 0;
  for (let i = 0; i < ODD_TERMS; i++) {
    const product = high * square;
    const productLow = productError(high, square, product) + (high * squareLow + low * square);
    const term = oddReciprocals[i]!;
    high = term + product;
    low = sumError(term, product, high) + (oddReciprocalErrors[i]! + productLow);
  }
  // s^3 times the series, then + s.
  const cube = s * square;
  const cubeLow = productError(s, square, cube) + (s * squareLow + sLow * square);
  const tail = cube * high;
  const tailLow = productError(cube, high, tail) + (cube * low + cubeLow * high);
  const sum = s + tail;
  const sumLow = sumError(s, tail, sum) + (sLow + tailLow);
  return logOfParts(exponent, 2 * sum, 2 * sumLow);
}

/** x^y as `**` defines it, within 0.7 ulp (1 ulp more where the result is subnormal); exact where the power is a double. */
export function pow(x: number, y: number): number {
  if (y === 0) return 1;
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  const magnitude = Math.abs(x);
  if (Math.abs(y) === Infinity) {
    if (magnitude === 1) return NaN;
    return magnitude > 1 === y > 0 ? Infinity : 0;
  }
  const odd = Number.isInteger(y) && Math.abs(y % 2) === 1;
  const negative = odd && (x < 0 || Object.is(x, -0));
  if (magnitude === 0 || magnitude === Infinity) {
    const size = (magnitude === 0) === y > 0 ? 0 : Infinity;
    return negative ? -size : size;
  }
  if (x < 0 && !Number.isInteger(y)) return NaN;
  const size = powerOf(magnitude, y);
  return negative ? -size : size;
}

function powerOf(x: number, y: number): number {
  if (x === 1) return 1;
  const { high, low } = logPair(x);
  const product = y * high;
  // Far outside of what a double holds; the splitting of huge factors below would overflow.
  if (product > 800) return Infinity;
  if (product < -800) return 0;
  // |y| is below 2^64 here, for |ln x| is 2^-54 at least.
  const productLow = productError(y, high, product) + y * low;
  const sum = product + productLow;
  return expOfSum(sum, productLow - (sum - product));
}
