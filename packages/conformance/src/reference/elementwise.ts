/** Elementwise primitives in float64. */
import type { BinaryOp, Shape, UnaryOp } from '@lowrank/core';

const unaryFormulas: Record<UnaryOp, (x: number) => number> = {
  neg: (x) => -x,
  abs: Math.abs,
  sign: Math.sign,
  exp: Math.exp,
  log: Math.log,
  sqrt: Math.sqrt,
  reciprocal: (x) => 1 / x,
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
};

const binaryFormulas: Record<BinaryOp, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  min: Math.min,
  equal: (a, b) => (a === b ? 1 : 0),
  less: (a, b) => (a < b ? 1 : 0),
  lessEqual: (a, b) => (a <= b ? 1 : 0),
};

export function unary(op: UnaryOp, x: Float64Array): Float64Array {
  return x.map(unaryFormulas[op]);
}

export function binary(op: BinaryOp, a: Float64Array, aShape: Shape, b: Float64Array, bShape: Shape): Float64Array {
  const formula = binaryFormulas[op];
  const shape = broadcastShape(aShape, bShape);
  const out = new Float64Array(product(shape));
  const fromA = broadcastIndex(aShape, shape);
  const fromB = broadcastIndex(bShape, shape);
  for (let i = 0; i < out.length; i++) out[i] = formula(a[fromA(i)]!, b[fromB(i)]!);
  return out;
}

export function where(
  condition: Float64Array,
  conditionShape: Shape,
  a: Float64Array,
  aShape: Shape,
  b: Float64Array,
  bShape: Shape,
  shape: Shape,
): Float64Array {
  const out = new Float64Array(product(shape));
  const fromCondition = broadcastIndex(conditionShape, shape);
  const fromA = broadcastIndex(aShape, shape);
  const fromB = broadcastIndex(bShape, shape);
  for (let i = 0; i < out.length; i++) {
    out[i] = condition[fromCondition(i)] !== 0 ? a[fromA(i)]! : b[fromB(i)]!;
  }
  return out;
}

/** Toward zero, saturating, NaN to 0. */
export function toInt32(x: Float64Array): Int32Array {
  return Int32Array.from(x, (value) => {
    if (Number.isNaN(value)) return 0;
    return Math.min(2 ** 31 - 1, Math.max(-(2 ** 31), Math.trunc(value)));
  });
}

export function accumulate(target: Float64Array, source: Float64Array): void {
  for (let i = 0; i < target.length; i++) target[i]! += source[i]!;
}

/** The common shape of two of the same rank, or undefined where an axis is neither equal nor 1. */
export function commonShape(a: Shape, b: Shape): number[] | undefined {
  if (a.length !== b.length) return undefined;
  const shape: number[] = [];
  for (let axis = 0; axis < a.length; axis++) {
    const [p, q] = [a[axis]!, b[axis]!];
    if (p !== q && p !== 1 && q !== 1) return undefined;
    shape.push(p === 1 ? q : p);
  }
  return shape;
}

function broadcastShape(a: Shape, b: Shape): number[] {
  return commonShape(a, b)!;
}

/** For element i of `out`, the element of `shape` (same rank, sizes equal or 1) that stands there. */
export function broadcastIndex(shape: Shape, out: Shape): (i: number) => number {
  if (shape.every((size, axis) => size === out[axis])) return (i) => i;
  const length = product(out);
  let index = new Int32Array(1);
  for (let axis = 0, stride = product(shape); axis < shape.length; axis++) {
    stride = shape[axis] === 0 ? 0 : stride / shape[axis]!;
    const repeat = out[axis]!;
    const step = shape[axis] === 1 ? 0 : stride;
    const next = new Int32Array(index.length * repeat);
    for (let i = 0; i < next.length; i++) next[i] = index[Math.floor(i / repeat)]! + (i % repeat) * step;
    index = next;
  }
  if (index.length !== length) throw new RangeError(`broadcast of [${shape.join()}] to [${out.join()}]`);
  return (i) => index[i]!;
}

export function product(shape: Shape): number {
  return shape.reduce((size, length) => size * length, 1);
}
