/** How far a result is from the reference's, and whether that is too far. */
import type { TypedArray } from '@lowrank/core';
import { ConformanceError } from '../conformance-error.ts';
import type { Mismatch } from '../conformance-error.ts';

/** Errors of one result, over the elements that are finite in both and not left open. */
export interface Errors {
  /** Sum of squared errors over the sum of squares of the expected values. */
  readonly nmse: number;
  readonly maxAbsolute: number;
  /** Largest error in units in the last place of the expected value, in the backend's precision. */
  readonly maxUlp: number;
  /** Largest error divided by its bound; at most 1 is a pass. 0 where the bound is 0 and met. */
  readonly maxOverBound: number;
}

export const noErrors: Errors = { nmse: 0, maxAbsolute: 0, maxUlp: 0, maxOverBound: 0 };

/** The worse of each. */
export function worse(a: Errors, b: Errors): Errors {
  return {
    nmse: Math.max(a.nmse, b.nmse),
    maxAbsolute: Math.max(a.maxAbsolute, b.maxAbsolute),
    maxUlp: Math.max(a.maxUlp, b.maxUlp),
    maxOverBound: Math.max(a.maxOverBound, b.maxOverBound),
  };
}

/** What stands in the message of a failure. */
export interface Subject {
  readonly kernel: string;
  readonly case: string;
  readonly output: string;
}

const largestFloat32 = 3.4028234663852886e38;

/** Throws `CONFORMANCE_MISMATCH` where an element is off by more than its tolerance. */
export function compare(
  subject: Subject,
  got: TypedArray,
  expected: Float64Array,
  tolerance: Float64Array,
  precision: 'f32' | 'f64',
  alternative: Float64Array = expected,
): Errors {
  if (got.length !== expected.length || tolerance.length !== expected.length) {
    const lengths = `${got.length} elements, expected ${expected.length} (tolerance ${tolerance.length})`;
    throw new ConformanceError('CONFORMANCE_MISMATCH', `${title(subject)}: got ${lengths}`, got.length);
  }
  let [squares, squaredErrors, maxAbsolute, maxUlp, maxOverBound, wrong] = [0, 0, 0, 0, 0, 0];
  let worst = -1;
  let worstRatio = 1;
  const halfEpsilon = precision === 'f32' ? 2 ** -24 : 2 ** -53;
  for (let i = 0; i < expected.length; i++) {
    const allowed = tolerance[i]!;
    if (allowed === Infinity) continue;
    const wanted = expected[i]!;
    let error = Math.abs(got[i]! - wanted);
    let ratio = error === 0 ? 0 : error / allowed;
    // Of millions of elements nearly all are right, and are done with here.
    if (!(ratio <= 1)) ({ error, ratio } = nearest(got[i]!, wanted, alternative[i]!, allowed, precision));
    if (!(ratio <= 1)) wrong++;
    if (!(ratio <= worstRatio)) {
      worst = i;
      worstRatio = Number.isNaN(ratio) ? Infinity : ratio;
    }
    if (!Number.isFinite(error) || !Number.isFinite(wanted)) continue;
    squares += wanted * wanted;
    squaredErrors += error * error;
    if (error > maxAbsolute) maxAbsolute = error;
    // A unit in the last place is more than |wanted| times `halfEpsilon`: most need no logarithm to be below the largest.
    if (error > maxUlp * halfEpsilon * Math.abs(wanted)) {
      maxUlp = Math.max(maxUlp, error / unitInLastPlace(wanted, precision));
    }
    if (ratio > maxOverBound) maxOverBound = ratio;
  }
  // Where all that is expected is 0, there is nothing to be relative to.
  const nmse = squares === 0 ? 0 : squaredErrors / squares;
  if (worst >= 0) {
    throw mismatch({
      ...subject,
      index: worst,
      length: expected.length,
      expected: expected[worst]!,
      got: got[worst]!,
      bound: tolerance[worst]!,
      wrong,
      nmse,
      maxAbsolute,
      maxUlp,
    });
  }
  return { nmse, maxAbsolute, maxUlp, maxOverBound };
}

function mismatch(off: Mismatch): ConformanceError {
  const figures = [
    `NMSE ${off.nmse.toExponential(2)}`,
    `max abs ${off.maxAbsolute.toExponential(2)}`,
    `max ULP ${off.maxUlp.toPrecision(3)}`,
  ];
  const message =
    `${title(off)}: element ${off.index} of ${off.length} is ${off.got}, expected ${off.expected} ` +
    `within ${off.bound.toExponential(2)}; ${off.wrong} elements are off; ${figures.join(', ')}`;
  return new ConformanceError('CONFORMANCE_MISMATCH', message, off.got, off);
}

function title({ kernel, case: name, output }: Subject): string {
  return `${kernel} (${name}), ${output}`;
}

interface Distance {
  readonly error: number;
  /** Over the tolerance: at most 1 is a pass. */
  readonly ratio: number;
}

function nearest(
  got: number,
  expected: number,
  alternative: number,
  allowed: number,
  precision: 'f32' | 'f64',
): Distance {
  const first = distance(got, expected, allowed, precision);
  if (first.ratio <= 1 || Object.is(expected, alternative)) return first;
  const second = distance(got, alternative, allowed, precision);
  return second.ratio <= 1 ? second : first;
}

function distance(got: number, expected: number, allowed: number, precision: 'f32' | 'f64'): Distance {
  const exact = { error: 0, ratio: 0 };
  const never = { error: Infinity, ratio: Infinity };
  if (Number.isNaN(expected)) return Number.isNaN(got) ? exact : never;
  if (got === expected) return exact;
  // Where float64 stays finite but float32 may overflow, infinity of that sign is right too.
  const overflows = precision === 'f32' && Math.abs(expected) + allowed > largestFloat32;
  if (overflows && got === Math.sign(expected) * Infinity) return exact;
  const error = Math.abs(got - expected);
  return Number.isFinite(error) ? { error, ratio: error === 0 ? 0 : error / allowed } : never;
}

/** The distance between `value` and the next larger number of that precision. */
function unitInLastPlace(value: number, precision: 'f32' | 'f64'): number {
  const [bits, smallest] = precision === 'f32' ? [23, -126] : [52, -1022];
  if (value === 0 || !Number.isFinite(value)) return 2 ** (smallest - bits);
  return 2 ** (Math.max(smallest, Math.floor(Math.log2(Math.abs(value)))) - bits);
}
