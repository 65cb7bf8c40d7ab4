import type { Vector } from './functions.ts';

/**
 * `isNotNumber(x)`, by the bits: WGSL lets compilers assume that comparisons never see NaN. `greater(a, b)` and `lesser(a, b)` give
 * NaN where either is. Best effort: an implementation may have lost the NaN before.
 */
export function maxAndMin(type: Vector): string {
  const bits = type === 'f32' ? 'u32' : 'vec4u';
  const truth = type === 'f32' ? 'bool' : 'vec4<bool>';
  return /* wgsl */ `
fn isNotNumber(x: ${type}) -> ${truth} {
  return (bitcast<${bits}>(x) & ${bits}(0x7fffffffu)) > ${bits}(0x7f800000u);
}
fn greater(a: ${type}, b: ${type}) -> ${type} {
  return select(select(max(a, b), b, isNotNumber(b)), a, isNotNumber(a));
}
fn lesser(a: ${type}, b: ${type}) -> ${type} {
  return select(select(min(a, b), b, isNotNumber(b)), a, isNotNumber(a));
}`;
}
