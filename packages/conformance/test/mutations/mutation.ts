/** A small mistake put into a right backend, and what must notice it. */
import type { Backend, Storage } from '@lowrank/core';
import { numbersOf } from '../support/single.ts';
import type { Kernels } from '../support/single.ts';

export interface Mutation {
  readonly name: string;
  /** The kernel whose own cases must notice, or `'rules'`. A backward kernel's must in both modes, `test` and `grad`. */
  readonly caughtBy: string;
  readonly mutate?: (kernels: Kernels) => Partial<Kernels>;
  readonly change?: (backend: Backend) => Backend;
  /** What the failure says. Default: anything. */
  readonly message?: RegExp;
}

/** The kernel, with its first result changed afterwards. */
export function after<K extends keyof Kernels>(
  kernel: K,
  change: (y: Float64Array, operands: Parameters<Kernels[K]>) => void,
) {
  return (kernels: Kernels): Partial<Kernels> => ({
    [kernel]: (...operands: Parameters<Kernels[K]>) => {
      const result = (kernels[kernel] as (...operands: unknown[]) => unknown)(...operands);
      const storage = (isStorage(result) ? result : Object.values(result as object)[0]) as Storage;
      change(numbersOf(storage), operands);
      return result;
    },
  });
}

function isStorage(value: unknown): value is Storage {
  return typeof value === 'object' && value !== null && 'dtype' in value;
}

/** The kernel, with its operands changed before. */
export function before<K extends keyof Kernels>(
  kernel: K,
  change: (operands: Parameters<Kernels[K]>) => Parameters<Kernels[K]>,
): (kernels: Kernels) => Partial<Kernels> {
  return (kernels) => ({
    [kernel]: (...operands: Parameters<Kernels[K]>) =>
      (kernels[kernel] as (...operands: unknown[]) => unknown)(...change(operands)),
  });
}

export const scaled =
  (factor: number) =>
  (y: Float64Array): void =>
    y.forEach((value, i) => (y[i] = value * factor));
