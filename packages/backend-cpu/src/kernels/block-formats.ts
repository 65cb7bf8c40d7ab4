import type { BlockFormat } from '@lowrank/core';

/** Block formats that `matmulQuantized` and `gatherQuantized` work on, in the order of their numbers in `kernels/blocks.h`. */
export const blockFormatsOfKernels: readonly BlockFormat[] = [
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

export function blockFormatCode(format: BlockFormat): number {
  return blockFormatsOfKernels.indexOf(format);
}
