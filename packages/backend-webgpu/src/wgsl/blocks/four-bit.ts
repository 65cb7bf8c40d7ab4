/**
 * nf4 and fp4 (core's `four-bit-payload.ts`): the payload says in its header how it is stored. Blocks run along the flattened
 * matrix of `p.elements` weights, and rows may have any length.
 *
 * `p.zero` is 0, which no compiler knows: a product that went through `rounded` cannot be fused with the sum that follows, so that
 * scales have the bits that core decodes.
 */
export const fourBit = /* wgsl */ `
var<workgroup> codebook: array<f32, 16>;

fn rounded(x: f32) -> f32 {
  return bitcast<f32>(bitcast<u32>(x) ^ p.zero);
}

// The scale of the block that holds an element.
fn absmaxOf(element: u32) -> f32 {
  let block = element / load_blocks(0u);
  let scales = 4u + ((p.elements + 7u) >> 3u);
  if (load_blocks(1u) == 0u) {
    return bitcast<f32>(load_blocks(scales + block));
  }
  let blockCount = (p.elements + load_blocks(0u) - 1u) / load_blocks(0u);
  let nested = bitcast<f32>(load_blocks(scales + ((blockCount + 3u) >> 2u) + (block >> 8u)));
  let code = byteAt(4u * scales + block);
  return rounded(bitcast<f32>(load_tables(16u + code)) * nested) + bitcast<f32>(load_blocks(2u));
}

fn valueOf(element: u32) -> f32 {
  let code = byteAt(16u + (element >> 1u)) >> (4u - 4u * (element & 1u));
  return codebook[code & 15u];
}

fn scaleOf(element: u32) -> vec2f {
  return vec2f(absmaxOf(element), 0.0);
}

fn quantsOf(element: u32) -> vec4f {
  let pairs = load_blocks(4u + (element >> 3u)) >> ((element & 4u) * 4u);
  let codes = vec4u(pairs >> 4u, pairs, pairs >> 12u, pairs >> 8u) & vec4u(15u);
  return vec4f(codebook[codes.x], codebook[codes.y], codebook[codes.z], codebook[codes.w]);
}

fn decode4(element: u32) -> vec4f {
  if ((element & 3u) == 0u) {
    return quantsOf(element) * absmaxOf(element);
  }
  let values = vec4f(valueOf(element), valueOf(element + 1u), valueOf(element + 2u), valueOf(element + 3u));
  return values * vec4f(absmaxOf(element), absmaxOf(element + 1u), absmaxOf(element + 2u), absmaxOf(element + 3u));
}
`;

/** Before `decode4`, by all invocations. */
export const prepareFourBit = /* wgsl */ `
  if (local < 16u) {
    codebook[local] = bitcast<f32>(load_tables(local));
  }
  workgroupBarrier();`;
