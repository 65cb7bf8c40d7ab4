/** AdamW with moments of 8 bits in blocks of 256 (Dettmers et al. 2022, arXiv 2110.02861), in place. */
import type { AdamWSpec } from '@lowrank/core';
import { adamw } from './adamw.ts';

const blockSize = 256;

/** A moment as the kernel has it: four codes to a word, a scale for each block. */
export interface CodedMoment {
  readonly codes: Int32Array;
  readonly absmax: Float64Array;
  /** What the codes stand for, ascending. */
  readonly map: ArrayLike<number>;
}

export function adamw8bit(
  parameter: Float64Array,
  gradient: Float64Array,
  first: CodedMoment,
  second: CodedMoment,
  gradientScale: number,
  spec: AdamWSpec,
): void {
  const m = decodeMoment(first, parameter.length);
  const v = decodeMoment(second, parameter.length);
  adamw(parameter, gradient, m, v, gradientScale, spec);
  encode(m, first, 0);
  encode(v, second, 1);
}

/** map[code] * absmax for each element. */
export function decodeMoment({ codes, absmax, map }: CodedMoment, length: number): Float64Array {
  return Float64Array.from(
    { length },
    (_, i) => map[(codes[i >> 2]! >>> (8 * (i & 3))) & 255]! * absmax[Math.floor(i / blockSize)]!,
  );
}

/** The midpoints between neighbours of a map, rounded to f32. */
export function midpointsOf(map: ArrayLike<number>): Float32Array {
  return Float32Array.from({ length: map.length - 1 }, (_, i) => (map[i]! + map[i + 1]!) / 2);
}

/** @param leastAboveZero the lowest code of what is above 0. */
function encode(values: Float64Array, { codes, absmax, map }: CodedMoment, leastAboveZero: number): void {
  const midpoints = midpointsOf(map);
  codes.fill(0);
  for (let block = 0; block < absmax.length; block++) {
    const end = Math.min(values.length, (block + 1) * blockSize);
    const start = block * blockSize;
    const largest = values.subarray(start, end).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    absmax[block] = largest;
    for (let i = start; i < end; i++) {
      const scaled = values[i]! / (largest === 0 ? 1 : largest);
      let code = 0;
      while (code < midpoints.length && midpoints[code]! < scaled) code++;
      if (values[i]! > 0) code = Math.max(code, leastAboveZero);
      codes[i >> 2]! |= code << (8 * (i & 3));
    }
  }
}
