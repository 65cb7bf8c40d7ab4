import { primitiveNames } from '@lowrank/core';
import type { Backend, Primitives } from '@lowrank/core';

/** The same backend, offering its primitives only: core composes the rest. */
export function withoutFused(backend: Backend): Backend {
  const { kernels } = backend;
  const offered = primitiveNames.map((name) => [
    name,
    (...operands: unknown[]): unknown =>
      (kernels[name] as (...operands: unknown[]) => unknown).apply(kernels, operands),
  ]);
  return {
    name: `${backend.name}, primitives only`,
    interfaceVersion: backend.interfaceVersion,
    supports: { ...backend.supports, blockFormats: [] },
    kernels: Object.fromEntries(offered) as Primitives,
    upload: (data, dtype) => backend.upload(data, dtype),
    read: (storage) => backend.read(storage),
    sync: () => backend.sync(),
    free: (storage) => backend.free(storage),
    memory: () => backend.memory(),
    resetPeak: () => backend.resetPeak(),
    dispose: () => backend.dispose(),
  };
}
