/** How far a function's result moves when its operands are off: worst cases, one for each element. */
import type { BinaryOp, UnaryOp } from '@lowrank/core';

/** |f(x') - f(x)| at most, for |x' - x| <= error and y = f(x). */
export const unaryShift: Record<UnaryOp, (x: number, error: number, y: number) => number> = {
  neg: (_x, error) => error,
  abs: (_x, error) => error,
  sign: (x, error) => (error < Math.abs(x) || error === 0 ? 0 : 2),
  exp: (_x, error, y) => y * Math.expm1(error),
  // The logarithm and the reciprocal fall steeper toward 0.
  log: (x, error) => (error < x ? -Math.log1p(-error / x) : anyIf(error)),
  sqrt: (x, error, y) => y - Math.sqrt(Math.max(0, x - error)),
  reciprocal: (x, error) => (error < Math.abs(x) ? error / (Math.abs(x) * (Math.abs(x) - error)) : anyIf(error)),
  // Slopes are at most 1 and 1/4.
  tanh: (_x, error) => error,
  sigmoid: (_x, error) => error / 4,
};

/** |f(a', b') - f(a, b)| at most. */
export const binaryShift: Record<BinaryOp, (a: number, errorA: number, b: number, errorB: number) => number> = {
  add: (_a, errorA, _b, errorB) => errorA + errorB,
  sub: (_a, errorA, _b, errorB) => errorA + errorB,
  mul: (a, errorA, b, errorB) => times(a, errorB) + times(b, errorA) + times(errorA, errorB),
  div: (a, errorA, b, errorB) => {
    const least = Math.abs(b) - errorB;
    return least > 0 ? (errorA * Math.abs(b) + Math.abs(a) * errorB) / (Math.abs(b) * least) : anyIf(errorA + errorB);
  },
  max: (_a, errorA, _b, errorB) => Math.max(errorA, errorB),
  min: (_a, errorA, _b, errorB) => Math.max(errorA, errorB),
  equal: undecided,
  less: undecided,
  lessEqual: undecided,
};

/** A comparison may come out the other way when the operands' errors meet. */
function undecided(a: number, errorA: number, b: number, errorB: number): number {
  const reach = errorA + errorB;
  return reach > 0 && Math.abs(a - b) <= reach ? 1 : 0;
}

/** No bound, unless the operand is exact. */
function anyIf(error: number): number {
  return error === 0 ? 0 : Infinity;
}

/** |a| error, 0 where either is: nothing times whatever is nothing. */
function times(a: number, error: number): number {
  return a === 0 || error === 0 ? 0 : Math.abs(a) * error;
}

/** Operations that choose or copy: no rounding of their own. */
export const exactOps: ReadonlySet<UnaryOp | BinaryOp> = new Set([
  'neg',
  'abs',
  'sign',
  'max',
  'min',
  'equal',
  'less',
  'lessEqual',
]);
