/**
 * What becomes of operands that a backend rounds before it multiplies them (`supports.productOperands`): part of the bounds, see
 * `bounds.ts`.
 *
 * With p significant bits numbers lie 2^(1-p) of their power of two apart, and rounding to nearest is off by half of that at the
 * most: relative 2^-p, which is 2^-11 for f16 and 2^-8 for bf16. Where the operand is known, so is the distance to the
 * nearest number of the format, and no other rounding is as near: truncation goes beyond it for half of the operands. A product
 * may take the operand as it is, too.
 *
 * Below the smallest normal number (f16: 2^-14) an operand may be flushed to zero; the nearest subnormal is nearer. Beyond the
 * largest (f16: 65,504) it becomes infinite, and what it goes into is left open.
 */
import type { Supports } from '@lowrank/core';

export type ProductOperands = NonNullable<Supports['productOperands']>;

/** What a manifest says of how a backend computes. */
export type Arithmetic = Pick<Supports, 'precision' | 'productOperands'>;

export function arithmeticName({ precision, productOperands }: Arithmetic): string {
  return productOperands === undefined ? precision : `${precision}, products of ${productOperands}`;
}

interface Format {
  /** Significant bits, the hidden one included. */
  readonly bits: number;
  readonly smallestNormal: number;
  readonly largest: number;
}

export const productFormats: Readonly<Record<ProductOperands, Format>> = {
  f16: { bits: 11, smallestNormal: 2 ** -14, largest: 65_504 },
  bf16: { bits: 8, smallestNormal: 2 ** -126, largest: (2 - 2 ** -7) * 2 ** 127 },
};

/** Relative error of rounding to nearest, in the range of normal numbers. */
export function operandRoundoff(operands: ProductOperands): number {
  return 2 ** -productFormats[operands].bits;
}

/**
 * How far the operand of a product may be from x, when what is rounded may itself be `error` away. The rounded x' is as far from x'
 * as the format's nearest is, and that is at most `error` farther than from x; or at most roundoff |x'|.
 */
export function operandError(operands: ProductOperands, x: number, error = 0): number {
  const { bits, smallestNormal, largest } = productFormats[operands];
  const magnitude = Math.abs(x);
  if ((x === 0 && error === 0) || !Number.isFinite(x)) return error;
  if (magnitude + error > largest) return Infinity;
  if (magnitude - error < smallestNormal) return magnitude + error;
  const spacing = 2 ** (Math.floor(Math.log2(magnitude)) + 1 - bits);
  const distance = Math.abs(magnitude - Math.round(magnitude / spacing) * spacing);
  return Math.min(distance + 2 * error, error + operandRoundoff(operands) * (magnitude + error));
}
