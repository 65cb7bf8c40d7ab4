/** What a backend offers, kernel by kernel: its manifest as a table. */
import { fusedKernelNames, primitiveNames } from '@lowrank/core';
import type { Backend } from '@lowrank/core';
import { allCases, allGradients } from './all-cases.ts';
import { excuse } from './run-case.ts';

export interface KernelSupport {
  readonly op: string;
  readonly kind: 'primitive' | 'fused';
  /** `composed`: core makes it of primitives. `missing`: a primitive that must be there is not. */
  readonly support: 'yes' | 'composed' | 'missing';
  /** Cases of the suite that run, and that the manifest excuses. */
  readonly cases: number;
  readonly excused: number;
}

export function supportOf(backend: Backend, ops?: readonly string[]): KernelSupport[] {
  const kinds = [
    ...primitiveNames.map((op) => ({ op, kind: 'primitive' }) as const),
    ...fusedKernelNames.map((op) => ({ op, kind: 'fused' }) as const),
  ];
  const cases = [...allCases(), ...allGradients()];
  return kinds
    .filter(({ op }) => ops === undefined || ops.includes(op))
    .map(({ op, kind }) => {
      const own = cases.filter(({ kernel }) => kernel === op);
      const excused = own.filter((row) => excuse(backend, row) !== undefined).length;
      const offered = typeof backend.kernels[op] === 'function';
      const support = offered ? 'yes' : kind === 'fused' ? 'composed' : 'missing';
      return { op, kind, support, cases: own.length - excused, excused };
    });
}
