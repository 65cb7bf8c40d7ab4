import { fusedKernelNames, type Backend } from '@lowrank/core';
import { withoutKernels } from '../without-kernels.ts';

/** The same backend, offering its primitives only: core composes the rest. */
export function withoutFused(backend: Backend): Backend {
  const primitives = {
    ...withoutKernels(backend, fusedKernelNames),
    name: `${backend.name}, primitives only`,
    supports: { ...backend.supports, blockFormats: [] },
  };
  delete primitives.uploadBlocks;
  return primitives;
}
