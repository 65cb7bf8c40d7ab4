import type { Backend } from '@lowrank/core';
import type { Device } from '../device.ts';
import { fused } from './fused.ts';
import { primitives } from './primitives.ts';

export { blockFormatsOfKernels } from '../wgsl/blocks/index.ts';

const makers = {
  ...primitives,
  ...fused,
};

/** Every kernel over a device; `around` runs each call, so that what it allocates is given back where it throws. */
export function makeKernels(
  device: Device,
  around: <Result>(kernel: string, args: readonly unknown[], call: () => Result) => Result,
): Backend['kernels'] {
  const entries = Object.entries(makers).map(([name, make]) => {
    const kernel = make(device) as (...args: unknown[]) => unknown;
    return [name, (...args: unknown[]) => around(name, args, () => kernel(...args))];
  });
  return Object.fromEntries(entries) as Backend['kernels'];
}
