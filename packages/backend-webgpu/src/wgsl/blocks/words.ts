/**
 * Reading block formats out of the operand `blocks`, u32 words of the bytes as they were uploaded. Elements are counted along the
 * flattened matrix. A format is
 *
 * - `scaleOf(element) -> vec2f`: scale and offset, the same for all of the 16 elements from a multiple of 16 on;
 * - `quantsOf(element) -> vec4f`: what is scaled, of the four elements from a multiple of 4 on;
 * - `decode4(element) -> vec4f`: their values. Of formats whose rows may have any length, `element` may be any.
 *
 * Products of a scale (11 bits), a sub-scale (8) and a quant (6) are exact in float32, so that the addition rounds once, fused
 * or not: the bits are those of ggml's `dequantize_row_*`.
 */
export const words = /* wgsl */ `
// Four bytes from an even offset: blocks of 18, 22, 34, 110 and 210 bytes do not begin at words.
fn wordAt(at: u32) -> u32 {
  let low = load_blocks(at >> 2u);
  if ((at & 2u) == 0u) {
    return low;
  }
  return (low >> 16u) | (load_blocks((at >> 2u) + 1u) << 16u);
}

fn byteAt(at: u32) -> u32 {
  return (load_blocks(at >> 2u) >> ((at & 3u) * 8u)) & 0xffu;
}

// The bytes of a word, each with the bits above it.
fn bytesOf(word: u32) -> vec4u {
  return vec4u(word, word >> 8u, word >> 16u, word >> 24u);
}

fn signedBytesOf(word: u32) -> vec4f {
  return vec4f(bitcast<vec4i>(vec4u(word << 24u, word << 16u, word << 8u, word)) >> vec4u(24u));
}

// float16 in the low half. In integers: unpack2x16float may flush subnormals, and scales of small weights are such.
fn halfOf(bits: u32) -> f32 {
  let exponent = bits & 0x7c00u;
  let rebias = select(0x38000000u, 0x70000000u, exponent == 0x7c00u);
  let normal = bitcast<f32>(((bits & 0x7fffu) << 13u) + rebias);
  let magnitude = select(normal, f32(bits & 0x3ffu) * 5.9604644775390625e-8, exponent == 0u);
  return select(magnitude, -magnitude, (bits & 0x8000u) != 0u);
}

fn halfAt(at: u32) -> f32 {
  return halfOf((load_blocks(at >> 2u) >> ((at & 2u) * 8u)) & 0xffffu);
}
`;

/** For formats whose rows are whole blocks. */
export const decodeFour = /* wgsl */ `
fn decode4(element: u32) -> vec4f {
  let scale = scaleOf(element);
  return scale.x * quantsOf(element) + scale.y;
}
`;
