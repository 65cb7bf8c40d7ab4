/**
 * "K" formats: super-blocks of 256 elements, sub-blocks of 16 or 32 with small integer scales (and minima). Layouts as in
 * core's `k-quants.ts`, after ggml-common.h.
 */

export const q2_k = /* wgsl */ `
fn decode4(element: u32) -> vec4f {
  let p = (element >> 8u) * 84u;
  let at = element & 255u;
  let sub = at >> 4u;
  let packed = byteAt(p + sub);
  let scales = load_blocks((p + 80u) >> 2u);
  // Sub-block sub is quarter (sub & 6) / 2 of the bytes of half sub >> 3.
  let word = load_blocks((p + 16u + (sub >> 3u) * 32u + (sub & 1u) * 16u + (at & 15u)) >> 2u) >> (sub & 6u);
  let scale = halfOf(scales & 0xffffu) * f32(packed & 15u);
  let least = halfOf(scales >> 16u) * f32(packed >> 4u);
  return scale * vec4f(bytesOf(word) & vec4u(3u)) - least;
}
`;

export const q3_k = /* wgsl */ `
fn decode4(element: u32) -> vec4f {
  let p = (element >> 8u) * 110u;
  let at = element & 255u;
  let sub = at >> 4u;
  let within = (sub & 1u) * 16u + (at & 15u);
  // Four low bits: two scales a byte, 8 apart. Two high bits: four scales a byte, 4 apart.
  let low = (byteAt(p + 96u + (sub & 7u)) >> ((sub >> 3u) * 4u)) & 15u;
  let high = (byteAt(p + 104u + (sub & 3u)) >> ((sub >> 2u) * 2u)) & 3u;
  let scale = halfAt(p + 108u) * (f32(low | (high << 4u)) - 32.0);
  let two = bytesOf(wordAt(p + 32u + (sub >> 3u) * 32u + within) >> (sub & 6u)) & vec4u(3u);
  let third = bytesOf(wordAt(p + within) >> (sub >> 1u)) & vec4u(1u);
  return scale * (vec4f(two | (third << vec4u(2u))) - 4.0);
}
`;

/** Scale and minimum `sub` (0 to 7) of the 12 bytes that q4_k and q5_k pack eight of six bits each in. */
const packedScales = /* wgsl */ `
fn scaleAndLeast(p: u32, sub: u32) -> vec2f {
  let scales = load_blocks(p >> 2u);
  var packed = vec2u();
  if (sub < 4u) {
    packed = vec2u(byteAt(p + 4u + sub), byteAt(p + 8u + sub)) & vec2u(63u);
  } else {
    let low = byteAt(p + 8u + sub);
    packed = vec2u(low & 15u, low >> 4u) | ((vec2u(byteAt(p + sub), byteAt(p + 4u + sub)) >> vec2u(6u)) << vec2u(4u));
  }
  return vec2f(halfOf(scales & 0xffffu), halfOf(scales >> 16u)) * vec2f(packed);
}
`;

export const q4_k: string = /* wgsl */ `${packedScales}
fn decode4(element: u32) -> vec4f {
  let p = (element >> 8u) * 144u;
  let at = element & 255u;
  let sub = at >> 5u;
  let scale = scaleAndLeast(p, sub);
  let word = load_blocks((p + 16u + (sub >> 1u) * 32u + (at & 31u)) >> 2u) >> ((sub & 1u) * 4u);
  return scale.x * vec4f(bytesOf(word) & vec4u(15u)) - scale.y;
}
`;

export const q5_k: string = /* wgsl */ `${packedScales}
fn decode4(element: u32) -> vec4f {
  let p = (element >> 8u) * 176u;
  let at = element & 255u;
  let sub = at >> 5u;
  let scale = scaleAndLeast(p, sub);
  let four = bytesOf(load_blocks((p + 48u + (sub >> 1u) * 32u + (at & 31u)) >> 2u) >> ((sub & 1u) * 4u)) & vec4u(15u);
  let fifth = bytesOf(load_blocks((p + 16u + (at & 31u)) >> 2u) >> sub) & vec4u(1u);
  return scale.x * vec4f(four | (fifth << vec4u(4u))) - scale.y;
}
`;

export const q6_k = /* wgsl */ `
fn decode4(element: u32) -> vec4f {
  let p = (element >> 8u) * 210u;
  let at = element & 255u;
  let sub = at >> 4u;
  let quarter = (sub >> 1u) & 3u;
  let within = (sub & 1u) * 16u + (at & 15u);
  let code = byteAt(p + 192u + sub);
  let scale = halfAt(p + 208u) * f32(bitcast<i32>(code << 24u) >> 24u);
  let lows = wordAt(p + (sub >> 3u) * 64u + (quarter & 1u) * 32u + within) >> ((quarter >> 1u) * 4u);
  let highs = wordAt(p + 128u + (sub >> 3u) * 32u + within) >> (quarter * 2u);
  let quants = (bytesOf(lows) & vec4u(15u)) | ((bytesOf(highs) & vec4u(3u)) << vec4u(4u));
  return scale * (vec4f(quants) - 32.0);
}
`;
