import { blockFormats, fourBitCodes, type BlockFormat } from '@lowrank/core';
import type { Case, GradientCase } from './case.ts';
import { gradientCases, kernelCases } from './cases/index.ts';

const formats = [...Object.keys(blockFormats), ...Object.keys(fourBitCodes)] as BlockFormat[];

let cases: readonly Case[] | undefined;
let gradients: readonly GradientCase[] | undefined;

/**
 * Every case of mode `test`. Every format has its cases; those that a backend does not name are excused when they run.
 * Made once: their inputs are large.
 */
export function allCases(): readonly Case[] {
  return (cases ??= kernelCases(formats));
}

/** Every case of mode `grad`. */
export function allGradients(): readonly GradientCase[] {
  return (gradients ??= gradientCases());
}
