/**
 * exp and what is made of it, of operations that WGSL rounds correctly (WebGPU Shading Language, section 15.7.4), where its own exp
 * may be off by 3 + 2|x| units in the last place, and is by that much in one direction: softmax and its gradient then do not
 * cancel. No operand and no result is infinite or NaN, which implementations may assume not to occur.
 */

export type Vector = 'f32' | 'vec4f';

export function lengthOf(type: Vector): number {
  return type === 'f32' ? 1 : 4;
}

/**
 * `expOf(x)`: e^x for x <= 0, and a rounding above it, within 2 units in the last place. x = n ln 2 + r with ln 2 in two parts, the first
 * of so few bits that its product with n is exact; e^r = 1 + r + r^2 P(r), P a minimax fit of degree 4. A compiler that joins the
 * two parts makes it as good as WGSL's own. Below ln(2^-126) the result is subnormal, which may be flushed to 0: it is 0.
 */
export function expOf(type: Vector, name = 'expOf'): string {
  const integer = type === 'f32' ? 'i32' : 'vec4i';
  return /* wgsl */ `
fn ${name}(x: ${type}) -> ${type} {
  let inside = max(x, ${type}(-87.33655));
  let n = round(inside * 0x1.715476p0f);
  let r = (inside - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
  var q = r * 0x1.6db4cep-10f + 0x1.123bdep-7f;
  q = q * r + 0x1.55545ep-5f;
  q = q * r + 0x1.55548ep-3f;
  q = q * r + 0.5;
  let y = (r * r * q + r) + 1.0;
  let power = bitcast<${type}>((${integer}(n) + 127) << ${type === 'f32' ? '23u' : 'vec4u(23u)'});
  return select(${type}(0.0), y * power, x > ${type}(-87.33655));
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
