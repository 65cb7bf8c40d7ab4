/** Rotary position embedding (Su et al. 2021, arXiv 2104.09864). */
import type { RopeSpec } from '@lowrank/core';

export function rope(
  x: Float64Array,
  cos: Float64Array,
  sin: Float64Array,
  positions: Int32Array,
  spec: RopeSpec,
): Float64Array {
  const pairs = spec.rotary / 2;
  const [first, second] = pairOf(spec);
  const out = x.slice();
  for (let token = 0; token < spec.tokens; token++) {
    for (let head = 0; head < spec.heads; head++) {
      const from = (token * spec.heads + head) * spec.headSize;
      for (let i = 0; i < pairs; i++) {
        const at = positions[token]! * pairs + i;
        const c = cos[at]!;
        const s = spec.inverse ? -sin[at]! : sin[at]!;
        const a = x[from + first(i)]!;
        const b = x[from + second(i)]!;
        out[from + first(i)] = a * c - b * s;
        out[from + second(i)] = a * s + b * c;
      }
    }
  }
  return out;
}

/** Where the two elements of pair i stand in a head. */
export function pairOf(
  spec: Pick<RopeSpec, 'pairing' | 'rotary'>,
): [first: (i: number) => number, second: (i: number) => number] {
  return spec.pairing === 'half' ? [(i) => i, (i) => i + spec.rotary / 2] : [(i) => 2 * i, (i) => 2 * i + 1];
}
