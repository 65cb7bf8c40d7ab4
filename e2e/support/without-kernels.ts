import type { Backend } from '@lowrank/core';

/** The same backend without some of its kernels: core composes. */
export function without(backend: Backend, names: readonly string[]): Backend {
  return {
    name: backend.name,
    interfaceVersion: backend.interfaceVersion,
    supports: backend.supports,
    kernels: Object.fromEntries(
      Object.entries(backend.kernels).filter(([name]) => !names.includes(name)),
    ) as Backend['kernels'],
    upload: (data, dtype) => backend.upload(data, dtype),
    ...(backend.uploadBlocks === undefined
      ? {}
      : { uploadBlocks: (...blocks: Parameters<typeof backend.uploadBlocks>) => backend.uploadBlocks!(...blocks) }),
    read: (storage) => backend.read(storage),
    sync: () => backend.sync(),
    free: (storage) => backend.free(storage),
    memory: () => backend.memory(),
    resetPeak: () => backend.resetPeak(),
    dispose: () => backend.dispose(),
  };
}
