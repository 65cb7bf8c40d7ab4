/** Formats of one 16-bit element: rows of any length, so that four elements may begin at any. */

const read = (name: string) => /* wgsl */ `
fn decode4(element: u32) -> vec4f {
  let at = element >> 1u;
  let first = load_blocks(at);
  let second = load_blocks(at + 1u);
  var low = vec4u(first, first >> 16u, second, second >> 16u);
  if ((element & 1u) != 0u) {
    low = vec4u(low.yzw, load_blocks(at + 2u));
  }
  return vec4f(${name}(low.x), ${name}(low.y), ${name}(low.z), ${name}(low.w));
}
fn scaleOf(element: u32) -> vec2f {
  return vec2f(1.0, 0.0);
}
fn quantsOf(element: u32) -> vec4f {
  return decode4(element);
}
`;

export const f16: string = /* wgsl */ `${read('halfOf16')}
fn halfOf16(bits: u32) -> f32 {
  return halfOf(bits & 0xffffu);
}
`;

export const bf16: string = /* wgsl */ `${read('upperHalf')}
fn upperHalf(bits: u32) -> f32 {
  return bitcast<f32>(bits << 16u);
}
`;
