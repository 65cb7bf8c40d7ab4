import { productError, sumError } from './double-bits.ts';
import { reduceHuge } from './reduce-huge.ts';

/** An angle less a whole number of quarter turns: (high + low) in [-pi/4, pi/4], and that number modulo 4. */
export interface ReducedAngle {
  readonly quarter: number;
  readonly high: number;
  readonly low: number;
}

/** Sine of x in radians, within 0.8 ulp for every double. */
export function sin(x: number): number {
  if (!Number.isFinite(x)) return NaN;
  const angle = reduce(x);
  return angle.quarter === 0 && angle.high === 0 ? x : sineOfQuarter(angle, angle.quarter);
}

/** Cosine of x in radians, within 0.8 ulp for every double. */
export function cos(x: number): number {
  if (!Number.isFinite(x)) return NaN;
  const angle = reduce(x);
  return sineOfQuarter(angle, angle.quarter + 1);
}

/** sin(pi x): the reduction is exact. Zeros at whole numbers take x's sign. */
export function sinPi(x: number): number {
  if (!Number.isFinite(x)) return NaN;
  if (Number.isInteger(x)) return 0 * x;
  const angle = reduceTurns(x);
  return sineOfQuarter(angle, angle.quarter);
}

/** cos(pi x): the reduction is exact. Zeros at halves are +0. */
export function cosPi(x: number): number {
  if (!Number.isFinite(x)) return NaN;
  const angle = reduceTurns(x);
  // + 0 turns the -0 of an odd half into 0.
  return sineOfQuarter(angle, angle.quarter + 1) + 0;
}

/** pi/2 in three parts of 33 bits, whose products with 20-bit numbers are exact, and the rest. */
const HALF_PI_1 = 1.5707963267341256;
const HALF_PI_2 = 6.077100506303966e-11;
const HALF_PI_3 = 2.0222662487111665e-21;
const HALF_PI_4 = 8.4784276603689e-32;

function reduce(x: number): ReducedAngle {
  const size = Math.abs(x);
  if (size <= 0.7853981633974483) return { quarter: 0, high: x, low: 0 };
  if (size >= 1_600_000) return reduceHuge(x);
  // Cody & Waite: n < 2^20, so the first three products are exact and the differences lose nothing but what their
  // error terms keep. No double below 2^21 is closer than 2^-60 to a multiple of pi/2, so 2^-115 is enough.
  const n = Math.round(x * 0.6366197723675814);
  const first = x - n * HALF_PI_1;
  const second = -n * HALF_PI_2;
  const sum = first + second;
  const third = -n * HALF_PI_3;
  const sumLow = sumError(first, second, sum);
  const low = sumLow + third;
  const rest = sumError(sumLow, third, low) - n * HALF_PI_4;
  const high = sum + low;
  return { quarter: n & 3, high, low: low - (high - sum) + rest };
}

const PI_LOW = 1.2246467991473532e-16;

function reduceTurns(x: number): ReducedAngle {
  const withinTurn = x % 2;
  const n = Math.round(withinTurn * 2);
  const rest = withinTurn - n / 2;
  const high = rest * Math.PI;
  return { quarter: n & 3, high, low: productError(rest, Math.PI, high) + rest * PI_LOW };
}

/** sin(angle + quarters * pi/2), for the part of the angle within a quarter turn. */
function sineOfQuarter(angle: ReducedAngle, quarters: number): number {
  const value = quarters & 1 ? cosineNearZero(angle.high, angle.low) : sineNearZero(angle.high, angle.low);
  return quarters & 2 ? -value : value;
}

/** +-1/n!, alternating, for n = first, first - 2, ... down to last. */
function alternating(first: number, last: number): readonly number[] {
  const terms: number[] = [];
  for (let n = first; n >= last; n -= 2) {
    let factorial = 1;
    for (let i = 2; i <= n; i++) factorial *= i;
    terms.push((n >> 1) & 1 ? -1 / factorial : 1 / factorial);
  }
  return terms;
}

/** (pi/4)^18 / 19! is below 2^-63, (pi/4)^20 / 20! below 2^-68. 18! is the last exact factorial; its successors' terms are tiny. */
const sineTerms = alternating(17, 3);
const cosineTerms = alternating(18, 4);

function sineNearZero(x: number, low: number): number {
  const square = x * x;
  let series = 0;
  for (const term of sineTerms) series = series * square + term;
  return x + (low * (1 - square / 2) + x * square * series);
}

function cosineNearZero(x: number, low: number): number {
  const square = x * x;
  let series = 0;
  for (const term of cosineTerms) series = series * square + term;
  const half = square / 2;
  const halfLow = productError(x, x, square) / 2;
  const whole = 1 - half;
  return whole + (1 - whole - half - halfLow + (square * square * series - x * low));
}
