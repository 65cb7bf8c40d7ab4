import type { Primitives } from '@lowrank/core';
import type { Device } from '../device.ts';
import { accumulate } from './accumulate.ts';
import { binary } from './binary.ts';
import { cast } from './cast.ts';
import { concat } from './concat.ts';
import { fill } from './fill.ts';
import { gather, scatterAdd } from './gather.ts';
import { matmul } from './matmul.ts';
import { permute } from './permute.ts';
import { reduce } from './reduce.ts';
import { slice, writeSlice } from './slice.ts';
import { unary } from './unary.ts';
import { where } from './where.ts';

/** What the interface demands of every backend. */
export const primitives: { readonly [Name in keyof Primitives]: (device: Device) => Primitives[Name] } = {
  accumulate,
  binary,
  cast,
  concat,
  fill,
  gather,
  matmul,
  permute,
  reduce,
  scatterAdd,
  slice,
  unary,
  where,
  writeSlice,
};
