/** Formats of 32 elements with one float16 scale d, and a minimum m where their name ends in 1. */

export const q4_0 = /* wgsl */ `
fn decode4(element: u32) -> vec4f {
  let p = (element >> 5u) * 18u;
  let at = element & 31u;
  let quants = bytesOf(wordAt(p + 2u + (at & 15u)) >> ((at >> 4u) * 4u)) & vec4u(15u);
  return halfAt(p) * (vec4f(quants) - 8.0);
}
`;

export const q4_1 = /* wgsl */ `
fn decode4(element: u32) -> vec4f {
  let p = (element >> 5u) * 5u;
  let at = element & 31u;
  let scales = load_blocks(p);
  let quants = bytesOf(load_blocks(p + 1u + ((at & 15u) >> 2u)) >> ((at >> 4u) * 4u)) & vec4u(15u);
  return halfOf(scales & 0xffffu) * vec4f(quants) + halfOf(scales >> 16u);
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
fn decode4(element: u32) -> vec4f {
  let p = (element >> 5u) * 22u;
  let at = element & 31u;
  return halfAt(p) * (withFifth(wordAt(p + 6u + (at & 15u)), wordAt(p + 2u), at) - 16.0);
}
`;

export const q5_1: string = /* wgsl */ `${fifthBits}
fn decode4(element: u32) -> vec4f {
  let p = (element >> 5u) * 6u;
  let at = element & 31u;
  let scales = load_blocks(p);
  let quants = withFifth(load_blocks(p + 2u + ((at & 15u) >> 2u)), load_blocks(p + 1u), at);
  return halfOf(scales & 0xffffu) * quants + halfOf(scales >> 16u);
}
`;

export const q8_0 = /* wgsl */ `
fn decode4(element: u32) -> vec4f {
  let p = (element >> 5u) * 34u;
  return halfAt(p) * signedBytesOf(wordAt(p + 2u + (element & 31u)));
}
`;
