import type { BlockFormat } from '@lowrank/core';
import type { Case } from './case.ts';
import { kernelCases } from './cases/index.ts';

const formats: readonly BlockFormat[] = [
  'f16',
  'bf16',
  'q4_0',
  'q4_1',
  'q5_0',
  'q5_1',
  'q8_0',
  'q2_k',
  'q3_k',
  'q4_k',
  'q5_k',
  'q6_k',
  'nf4',
  'fp4',
];

/** Every case of mode `test`. Every format has its cases; those that a backend does not name are excused when they run. */
export function allCases(): readonly Case[] {
  return kernelCases(formats);
}
