/**
 * "K" formats: super-blocks of 256 elements, sub-blocks of 16 or 32 with small integer scales (and minima). Layouts as in
 * core's `k-quants.ts`, after ggml-common.h.
 */

export const q2_k = /* wgsl */ `
fn scaleOf(element: u32) -> vec2f {
  let p = (element >> 8u) * 84u;
  let packed = byteAt(p + ((element >> 4u) & 15u));
  let scales = load_blocks((p + 80u) >> 2u);
  return vec2f(halfOf(scales & 0xffffu) * f32(packed & 15u), -halfOf(scales >> 16u) * f32(packed >> 4u));
}
fn quantsOf(element: u32) -> vec4f {
  // Sub-block sub is quarter (sub & 6) / 2 of the bytes of half sub >> 3.
  let sub = (element >> 4u) & 15u;
  let p = (element >> 8u) * 84u + 16u + (sub >> 3u) * 32u + (sub & 1u) * 16u + (element & 15u);
  return vec4f(bytesOf(load_blocks(p >> 2u) >> (sub & 6u)) & vec4u(3u));
}
`;

export const q3_k = /* wgsl */ `
fn scaleOf(element: u32) -> vec2f {
  let p = (element >> 8u) * 110u;
  let sub = (element >> 4u) & 15u;
  // Four low bits: two scales a byte, 8 apart. Two high bits: four scales a byte, 4 apart.
  let low = (byteAt(p + 96u + (sub & 7u)) >> ((sub >> 3u) * 4u)) & 15u;
  let high = (byteAt(p + 104u + (sub & 3u)) >> ((sub >> 2u) * 2u)) & 3u;
  return vec2f(halfAt(p + 108u) * (f32(low | (high << 4u)) - 32.0), 0.0);
}
fn quantsOf(element: u32) -> vec4f {
  let p = (element >> 8u) * 110u;
  let sub = (element >> 4u) & 15u;
  let within = (sub & 1u) * 16u + (element & 15u);
  let two = bytesOf(wordAt(p + 32u + (sub >> 3u) * 32u + within) >> (sub & 6u)) & vec4u(3u);
  let third = bytesOf(wordAt(p + within) >> (sub >> 1u)) & vec4u(1u);
  return vec4f(two | (third << vec4u(2u))) - 4.0;
}
`;

/** Scale and minimum `sub` (0 to 7) of the 12 bytes that q4_k and q5_k pack eight of six bits each in. */
const packedScales = (bytesPerBlock: number): string => /* wgsl */ `
fn scaleOf(element: u32) -> vec2f {
  let p = (element >> 8u) * ${bytesPerBlock}u;
  let sub = (element >> 5u) & 7u;
  let scales = load_blocks(p >> 2u);
  var packed = vec2u();
  if (sub < 4u) {
    packed = vec2u(byteAt(p + 4u + sub), byteAt(p + 8u + sub)) & vec2u(63u);
  } else {
    let low = byteAt(p + 8u + sub);
    packed = vec2u(low & 15u, low >> 4u) | ((vec2u(byteAt(p + sub), byteAt(p + 4u + sub)) >> vec2u(6u)) << vec2u(4u));
  }
  return vec2f(halfOf(scales & 0xffffu), -halfOf(scales >> 16u)) * vec2f(packed);
}
`;

export const q4_k: string = /* wgsl */ `${packedScales(144)}
fn quantsOf(element: u32) -> vec4f {
  let sub = (element >> 5u) & 7u;
  let p = (element >> 8u) * 144u + 16u + (sub >> 1u) * 32u + (element & 31u);
  return vec4f(bytesOf(load_blocks(p >> 2u) >> ((sub & 1u) * 4u)) & vec4u(15u));
}
`;

export const q5_k: string = /* wgsl */ `${packedScales(176)}
fn quantsOf(element: u32) -> vec4f {
  let p = (element >> 8u) * 176u;
  let sub = (element >> 5u) & 7u;
  let within = element & 31u;
  let four = bytesOf(load_blocks((p + 48u + (sub >> 1u) * 32u + within) >> 2u) >> ((sub & 1u) * 4u)) & vec4u(15u);
  let fifth = bytesOf(load_blocks((p + 16u + within) >> 2u) >> sub) & vec4u(1u);
  return vec4f(four | (fifth << vec4u(4u)));
}
`;

export const q6_k = /* wgsl */ `
fn scaleOf(element: u32) -> vec2f {
  let p = (element >> 8u) * 210u;
  let code = byteAt(p + 192u + ((element >> 4u) & 15u));
  return vec2f(halfAt(p + 208u) * f32(bitcast<i32>(code << 24u) >> 24u), 0.0);
}
fn quantsOf(element: u32) -> vec4f {
  let p = (element >> 8u) * 210u;
  let sub = (element >> 4u) & 15u;
  let quarter = (sub >> 1u) & 3u;
  let within = (sub & 1u) * 16u + (element & 15u);
  let lows = wordAt(p + (sub >> 3u) * 64u + (quarter & 1u) * 32u + within) >> ((quarter >> 1u) * 4u);
  let highs = wordAt(p + 128u + (sub >> 3u) * 32u + within) >> (quarter * 2u);
  let quants = (bytesOf(lows) & vec4u(15u)) | ((bytesOf(highs) & vec4u(3u)) << vec4u(4u));
  return vec4f(quants) - 32.0;
}
`;
