/** Formats of 32 elements with one float16 scale d, and a minimum m where their name ends in 1. */

export const q4_0 = /* wgsl */ `
fn scaleOf(element: u32) -> vec2f {
  return vec2f(halfAt((element >> 5u) * 18u), 0.0);
}
fn quantsOf(element: u32) -> vec4f {
  let at = element & 31u;
  let word = wordAt((element >> 5u) * 18u + 2u + (at & 15u)) >> ((at >> 4u) * 4u);
  return vec4f(bytesOf(word) & vec4u(15u)) - 8.0;
}
`;

export const q4_1 = /* wgsl */ `
fn scaleOf(element: u32) -> vec2f {
  let scales = load_blocks((element >> 5u) * 5u);
  return vec2f(halfOf(scales & 0xffffu), halfOf(scales >> 16u));
}
fn quantsOf(element: u32) -> vec4f {
  let at = element & 31u;
  let word = load_blocks((element >> 5u) * 5u + 1u + ((at & 15u) >> 2u)) >> ((at >> 4u) * 4u);
  return vec4f(bytesOf(word) & vec4u(15u));
}
`;

const fifthBits = /* wgsl */ `
fn withFifth(word: u32, fifths: u32, at: u32) -> vec4f {
  let four = bytesOf(word >> ((at >> 4u) * 4u)) & vec4u(15u);
  let fifth = (vec4u(fifths >> at) >> vec4u(0u, 1u, 2u, 3u)) & vec4u(1u);
  return vec4f(four | (fifth << vec4u(4u)));
}
`;

export const q5_0: string = /* wgsl */ `${fifthBits}
fn scaleOf(element: u32) -> vec2f {
  return vec2f(halfAt((element >> 5u) * 22u), 0.0);
}
fn quantsOf(element: u32) -> vec4f {
  let p = (element >> 5u) * 22u;
  let at = element & 31u;
  return withFifth(wordAt(p + 6u + (at & 15u)), wordAt(p + 2u), at) - 16.0;
}
`;

export const q5_1: string = /* wgsl */ `${fifthBits}
fn scaleOf(element: u32) -> vec2f {
  let scales = load_blocks((element >> 5u) * 6u);
  return vec2f(halfOf(scales & 0xffffu), halfOf(scales >> 16u));
}
fn quantsOf(element: u32) -> vec4f {
  let p = (element >> 5u) * 6u;
  let at = element & 31u;
  return withFifth(load_blocks(p + 2u + ((at & 15u) >> 2u)), load_blocks(p + 1u), at);
}
`;

export const q8_0 = /* wgsl */ `
fn scaleOf(element: u32) -> vec2f {
  return vec2f(halfAt((element >> 5u) * 34u), 0.0);
}
fn quantsOf(element: u32) -> vec4f {
  return signedBytesOf(wordAt((element >> 5u) * 34u + 2u + (element & 31u)));
}
`;
