import { reference } from '@lowrank/conformance';
import type { Backend, FusedKernels, Primitives, Storage } from '@lowrank/core';

/** The float64 reference with and without fused kernels: core composes where there are none. */
export const bothWays: readonly { name: string; make: () => Promise<Backend> }[] = [
  { name: 'fused', make: () => reference() },
  { name: 'composed', make: () => reference({ fused: false }) },
];

/** One kernel call: its name, its arguments, and the bytes of fresh storage it gave. */
export interface KernelCall {
  readonly kernel: string;
  readonly args: readonly unknown[];
  readonly bytes: number;
}

/** The same backend, noting every kernel call in `calls`. */
export function recordCalls(backend: Backend): { backend: Backend; calls: KernelCall[] } {
  const calls: KernelCall[] = [];
  const kernels = Object.fromEntries(
    Object.entries(backend.kernels).map(([kernel, run]) => [
      kernel,
      (...args: unknown[]) => {
        const result = (run as (...args: unknown[]) => unknown)(...args);
        calls.push({ kernel, args, bytes: freshBytes(result) });
        return result;
      },
    ]),
  ) as unknown as Primitives & Partial<FusedKernels>;
  return { backend: { ...backend, kernels }, calls };
}

function freshBytes(result: unknown): number {
  if (typeof result !== 'object' || result === null) return 0;
  if ('byteLength' in result) return (result as Storage).byteLength;
  return Object.values(result).reduce((sum: number, part) => sum + freshBytes(part), 0);
}
