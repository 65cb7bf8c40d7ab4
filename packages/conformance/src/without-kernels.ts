import { fusedKernelNames, primitiveNames } from '@lowrank/core';
import type { Backend, FusedKernels, Primitives } from '@lowrank/core';

/** The same backend without some of its fused kernels: core composes them. Disposing of either disposes of both. */
export function withoutKernels(backend: Backend, names: readonly (keyof FusedKernels)[]): Backend {
  const { kernels } = backend;
  const offered = [...primitiveNames, ...fusedKernelNames].filter(
    (name) => kernels[name] !== undefined && !(names as readonly string[]).includes(name),
  );
  const kept = offered.map((name) => [
    name,
    (...operands: unknown[]): unknown =>
      (kernels[name] as (...operands: unknown[]) => unknown).apply(kernels, operands),
  ]);
  return {
    name: backend.name,
    interfaceVersion: backend.interfaceVersion,
    supports: backend.supports,
    kernels: Object.fromEntries(kept) as Primitives & Partial<FusedKernels>,
    upload: (data, dtype) => backend.upload(data, dtype),
    ...(backend.uploadBlocks === undefined
      ? {}
      : { uploadBlocks: (bytes, format, shape) => backend.uploadBlocks!(bytes, format, shape) }),
    read: (storage) => backend.read(storage),
    sync: () => backend.sync(),
    free: (storage) => backend.free(storage),
    memory: () => backend.memory(),
    resetPeak: () => backend.resetPeak(),
    dispose: () => backend.dispose(),
  };
}
