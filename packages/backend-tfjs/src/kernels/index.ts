import type { Backend } from '@lowrank/core';
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

const makers = {
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

/** Every kernel over a device; `around` runs each call, so that what it makes on its way is freed. */
export function makeKernels(
  device: Device,
  around: <Result>(kernel: string, args: readonly unknown[], call: () => Result) => Result,
): Backend['kernels'] {
  const entries = Object.entries(makers).map(([name, make]) => {
    const kernel = make(device) as (...args: unknown[]) => unknown;
    return [name, (...args: unknown[]) => around(name, args, () => kernel(...args))];
  });
  return Object.fromEntries(entries) as { [Name in keyof typeof makers]: ReturnType<(typeof makers)[Name]> };
}
