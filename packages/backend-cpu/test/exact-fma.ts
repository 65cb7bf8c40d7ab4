const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);

/**
 * The float32 nearest to x y + s, rounded once, for float32 operands. The product is exact in float64. The sum is rounded
 * to odd there (Boldo & Melquiond 2008, "Emulation of FMA and correctly rounded sums"), which makes the second
 * rounding, to float32, the right one.
 */
export function exactFma(x: number, y: number, s: number): number {
  const product = x * y;
  const sum = product + s;
  if (!Number.isFinite(sum)) return Math.fround(sum);
  const part = sum - product;
  const rest = product - (sum - part) + (s - part);
  if (rest === 0) return Math.fround(sum);
  double[0] = sum;
  if ((words[0]! & 1) === 0) {
    // An even last bit. Where the rest points outward the truncated value is this one and gets the odd bit; where it points
    // back, the truncated value is the one before, which is odd.
    if (rest > 0 === sum > 0) words[0]! |= 1;
    else if (words[0] !== 0) words[0]!--;
    else {
      words[0] = 0xffffffff;
      words[1]!--;
    }
  }
  return Math.fround(double[0]);
}
