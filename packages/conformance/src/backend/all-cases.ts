import { blockFormats, fourBitCodes, type BlockFormat } from '@lowrank/core';
import type { Case } from './case.ts';
import { kernelCases } from './cases/index.ts';

const formats = [...Object.keys(blockFormats), ...Object.keys(fourBitCodes)] as BlockFormat[];

/** Every case of mode `test`. Every format has its cases; those that a backend does not name are excused when they run. */
export function allCases(): readonly Case[] {
  return kernelCases(formats);
}
