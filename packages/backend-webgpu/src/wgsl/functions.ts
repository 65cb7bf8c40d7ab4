/**
 * exp and what is made of it, kept where WGSL promises an accuracy (WebGPU Shading Language, section 15.7.4): no operand and no
 * result is infinite or NaN, which implementations may assume not to occur.
 */

export type Vector = 'f32' | 'vec4f';

export function lengthOf(type: Vector): number {
  return type === 'f32' ? 1 : 4;
}

/** `expOf(x)`: e^x for x <= 0, and a rounding above it. Below ln(2^-126) the result is subnormal, which may be flushed to 0: it is 0. */
export function expOf(type: Vector, name = 'expOf'): string {
  return /* wgsl */ `
fn ${name}(x: ${type}) -> ${type} {
  return select(${type}(0.0), exp(max(x, ${type}(-87.33655))), x > ${type}(-87.33655));
}`;
}

/** `sigmoidOf(x)`: 1 / (1 + e^-x), by e^-|x| so that nothing overflows; `siluSlope(x, sigmoid)`: the derivative of x sigmoid(x). */
export function sigmoidOf(type: Vector): string {
  return /* wgsl */ `${expOf(type)}
fn sigmoidOf(x: ${type}) -> ${type} {
  let e = expOf(-abs(x));
  return select(${type}(1.0), e, x < ${type}(0.0)) / (1.0 + e);
}
fn siluSlope(x: ${type}, s: ${type}) -> ${type} {
  return s * (1.0 + x * (1.0 - s));
}`;
}

/** `total(x)` and `greatest(x)`: of the components. */
export function acrossComponents(type: Vector): string {
  return type === 'f32'
    ? /* wgsl */ `
fn total(x: f32) -> f32 { return x; }
fn greatest(x: f32) -> f32 { return x; }`
    : /* wgsl */ `
fn total(x: vec4f) -> f32 { return (x.x + x.y) + (x.z + x.w); }
fn greatest(x: vec4f) -> f32 { return max(max(x.x, x.y), max(x.z, x.w)); }`;
}
