import type { BlockFormat } from '../host/arrays.ts';

/** The formats of 4-bit codes whose scales stand in arrays of their own (QLoRA, arXiv 2305.14314). */
export type FourBitFormat = Extract<BlockFormat, 'nf4' | 'fp4'>;

/** What the 16 codes of a format stand for. */
export interface FourBitCodes {
  /** The value of each code, within -1 .. 1. */
  readonly values: Float32Array;
  /** The codes in ascending order of value. */
  readonly ascending: Uint8Array;
  /** Float32 midpoints between neighbours of `ascending`. A value's code is that of rank: how many of these are strictly below it. */
  readonly midpoints: Float32Array;
  /** The code of 0. */
  readonly zero: number;
}

/** Quantiles of the normal distribution, as published with QLoRA (appendix E). */
const nf4 = [
  -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
  -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
  0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
];

/**
 * One bit of sign, two of exponent, one of fraction, in bitsandbytes' order and scaled to 1. Two codes are zeros: as on
 * bitsandbytes' CPU, 0 is that of 0 and of what lies below it, 8 that of what lies above.
 */
const fp4 = [0, 0.0625, 8, 12, 4, 6, 2, 3].map((value) => value / 12);

export const fourBitCodes: Readonly<Record<FourBitFormat, FourBitCodes>> = {
  nf4: describe(nf4),
  fp4: describe([...fp4, ...fp4.map((value) => -value)]),
};

export function isFourBitFormat(format: string): format is FourBitFormat {
  return Object.hasOwn(fourBitCodes, format);
}

function describe(table: readonly number[]): FourBitCodes {
  const values = Float32Array.from(table);
  const ascending = Uint8Array.from([...values.keys()].toSorted((a, b) => values[a]! - values[b]!));
  const midpoints = Float32Array.from({ length: ascending.length - 1 }, (_, i) => {
    return (values[ascending[i]!]! + values[ascending[i + 1]!]!) / 2;
  });
  return { values, ascending, midpoints, zero: values.indexOf(0) };
}
