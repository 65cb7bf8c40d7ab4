import type { FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { adamwParameters, adamwScalars, adamwStep } from '../wgsl/adamw-step.ts';
import type { Vector } from '../wgsl/functions.ts';

/** An invocation has the four elements of a word of codes, and a workgroup four blocks of 256 elements. */
const [workgroup, wordsOfBlock] = [256, 64];

/** `load4_x` and `store4_x`, of the four elements of a word; only of the last word are there fewer, where elements are scalars. */
function fours(operand: string, type: Vector, written: boolean): string {
  const each = [0, 1, 2, 3];
  const loads =
    type === 'vec4f'
      ? `let x = load_${operand}(word);`
      : `var x = vec4f(0.0);\n${each.map((i) => `  if (count > ${i}u) { x[${i}] = load_${operand}(4u * word + ${i}u); }`).join('\n')}`;
  const stores =
    type === 'vec4f'
      ? `store_${operand}(word, x);`
      : each.map((i) => `if (count > ${i}u) { store_${operand}(4u * word + ${i}u, x[${i}]); }`).join('\n  ');
  return /* wgsl */ `
fn load4_${operand}(word: u32, count: u32) -> vec4f {
  ${loads}
  return x;
}${written ? `\nfn store4_${operand}(word: u32, count: u32, x: vec4f) {\n  ${stores}\n}` : ''}`;
}

/**
 * One step in place with moments of 8 bits in blocks (Dettmers et al. 2022, arXiv 2110.02861). The largest magnitudes of a block are
 * found as bits, whose order as integers is that of what they stand for, and NaN above all. No two invocations
 * write the same word, and maxima do not depend on an order.
 */
const programOf = (type: Vector): Program => ({
  name: 'adamw8bit',
  operands: {
    parameter: `write ${type}`,
    gradient: `read ${type}`,
    firstCodes: 'write u32',
    firstAbsmax: 'write f32',
    secondCodes: 'write u32',
    secondAbsmax: 'write f32',
    maps: 'read f32',
    gradientScale: 'read f32',
  },
  parameters: { length: 'u32', ...adamwParameters },
  workgroup,
  declarations: /* wgsl */ `
// Each has the first moment's in [0, 256), the second's behind them.
var<workgroup> values: array<f32, 512>;
var<workgroup> midpoints: array<f32, 512>;
var<workgroup> largest: array<vec2u, ${workgroup}>;
${fours('parameter', type, true)}${fours('gradient', type, false)}

fn decode(codes: u32, map: u32) -> vec4f {
  let at = map + ((vec4u(codes) >> vec4u(0u, 8u, 16u, 24u)) & vec4u(255u));
  return vec4f(values[at.x], values[at.y], values[at.z], values[at.w]);
}

// How many of 255 ascending midpoints are strictly below each.
fn rank(x: vec4f, map: u32) -> vec4u {
  var count = vec4u(0u);
  for (var step = 128u; step > 0u; step >>= 1u) {
    let at = map + count + (step - 1u);
    let next = vec4f(midpoints[at.x], midpoints[at.y], midpoints[at.z], midpoints[at.w]);
    count += select(vec4u(0u), vec4u(step), next < x);
  }
  return count;
}

// What is below the normal numbers counts as 0: devices may flush it, and then divide by 0.
fn shares(x: vec4f, absmax: f32) -> vec4f {
  return x / select(absmax, 1.0, absmax < 0x1p-126f);
}

// Zeros behind the last of one to four.
fn packed(codes: vec4u, count: u32) -> u32 {
  let at = codes << vec4u(0u, 8u, 16u, 24u);
  return (at.x | at.y | at.z | at.w) & (0xffffffffu >> (32u - 8u * count));
}

// The greatest, as bits.
fn magnitude(x: vec4f) -> u32 {
  let bits = bitcast<vec4u>(x) & vec4u(0x7fffffffu);
  return max(max(bits.x, bits.y), max(bits.z, bits.w));
}`,
  body: /* wgsl */ `
  values[local] = load_maps(local);
  values[256u + local] = load_maps(256u + local);
  let above = min(local + 1u, 255u);
  midpoints[local] = (load_maps(local) + load_maps(above)) * 0.5;
  midpoints[256u + local] = (load_maps(256u + local) + load_maps(256u + above)) * 0.5;
  workgroupBarrier();

  let word = group * ${workgroup}u + local;
  let block = word / ${wordsOfBlock}u;
  let lane = local % ${wordsOfBlock}u;
  // Of the word's elements; what lies behind them has no part in the block's largest.
  let count = min(4u, max(p.length, 4u * word) - 4u * word);
  var m = vec4f(0.0);
  var v = vec4f(0.0);
  if (count > 0u) {
    let g = load4_gradient(word, count) * load_gradientScale(0u);
    m = decode(load_firstCodes(word), 0u) * load_firstAbsmax(block);
    v = decode(load_secondCodes(word), 256u) * load_secondAbsmax(block);${adamwStep}
    store4_parameter(word, count, load4_parameter(word, count) * p.decay - change);
    let inside = vec4u(0u, 1u, 2u, 3u) < vec4u(count);
    m = select(vec4f(0.0), m, inside);
    v = select(vec4f(0.0), v, inside);
  }
  largest[local] = vec2u(magnitude(m), magnitude(v));
  // All of a block have read its old scales before they are overwritten.
  storageBarrier();
  workgroupBarrier();
  for (var half = ${wordsOfBlock / 2}u; half > 0u; half /= 2u) {
    if (lane < half) { largest[local] = max(largest[local], largest[local + half]); }
    workgroupBarrier();
  }
  if (count == 0u) { return; }
  let absmax = bitcast<vec2f>(largest[local - lane]);
  if (lane == 0u) {
    store_firstAbsmax(block, absmax.x);
    store_secondAbsmax(block, absmax.y);
  }
  let first = rank(shares(m, absmax.x), 0u);
  let second = max(rank(shares(v, absmax.y), 256u), select(vec4u(0u), vec4u(1u), v > vec4f(0.0)));
  store_firstCodes(word, packed(first, count));
  store_secondCodes(word, packed(second, count));`,
});

const programs = { f32: programOf('f32'), vec4f: programOf('vec4f') };

export const adamw8bit =
  (device: Device): FusedKernels['adamw8bit'] =>
  (all, maps, gradientScale, spec) => {
    const scalars = adamwScalars(spec);
    for (const { length, ...operands } of all) {
      device.run(length % 4 === 0 ? programs.vec4f : programs.f32, {
        operands: { ...operands, maps, gradientScale },
        parameters: { length, ...scalars },
        workgroups: Math.ceil(length / (4 * workgroup)),
      });
    }
  };
