import { scaleByPowerOfTwo } from './double-bits.ts';
import type { ReducedAngle } from './trigonometry.ts';

/**
 * Bits of pi/2 after the point. The largest doubles hold 2^1024 quarter turns and come within 2^-62 of one, of which
 * 53 bits are wanted: 1139, and some to spare.
 */
const BITS = 1216n;

/** arctan(1/n) * 2^bits by its series. */
function arctanOfInverse(n: bigint, bits: bigint): bigint {
  let term = (1n << bits) / n;
  let sum = 0n;
  for (let k = 1n; term !== 0n; k += 2n) {
    sum += k & 2n ? -term / k : term / k;
    term /= n * n;
  }
  return sum;
}

let halfPi: bigint | undefined;

/** pi/2 * 2^BITS (Machin 1706), made when the first huge angle comes. */
function halfPiBits(): bigint {
  // 16 guard bits for the series' truncations.
  const bits = BITS + 16n;
  halfPi ??= (8n * arctanOfInverse(5n, bits) - 2n * arctanOfInverse(239n, bits)) >> 16n;
  return halfPi;
}

/** Removes quarter turns from any double of at least 2^20, in whole numbers. */
export function reduceHuge(x: number): ReducedAngle {
  // Doubles of 2^20 and more are multiples of 2^-32, those of 2^52 and more are whole.
  const size = Math.abs(x);
  const angle = size < 4503599627370496 ? BigInt(size * 4294967296) << (BITS - 32n) : BigInt(size) << BITS;
  const period = halfPiBits();
  let quarter = angle / period;
  let rest = angle % period;
  if (2n * rest > period) {
    rest -= period;
    quarter++;
  }
  const sign = x < 0 ? -1 : 1;
  const { high, low } = toPair(rest);
  return { quarter: (sign * Number(quarter & 3n)) & 3, high: sign * high, low: sign * low };
}

/** rest / 2^BITS as a sum of two doubles. */
function toPair(rest: bigint): { high: number; low: number } {
  // 192 bits after the point are plenty, for the angle is 2^-62 at least. BigInt to number rounds to nearest.
  const short = rest >> (BITS - 192n);
  const high = Number(short);
  const low = Number(short - BigInt(high));
  return { high: scaleByPowerOfTwo(high, -192), low: scaleByPowerOfTwo(low, -192) };
}
