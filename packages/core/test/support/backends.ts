import { reference } from '@lowrank/conformance';
import type { Backend } from '@lowrank/core';

/** The float64 reference with and without fused kernels: core composes where there are none. */
export const bothWays: readonly { name: string; make: () => Promise<Backend> }[] = [
  { name: 'fused', make: () => reference() },
  { name: 'composed', make: () => reference({ fused: false }) },
];
