import { cpu } from '@lowrank/backend-cpu';
import { Adam, AdamW, clipGradients, RandomStream, tensor, type Backend } from '@lowrank/core';
import { expect, test } from 'vitest';

const SIZE = 1003;

/** A parameter after some steps of an optimizer, on a backend. */
async function trained(backend: Backend, Optimizer: typeof Adam | typeof AdamW): Promise<ArrayLike<number>> {
  const random = new RandomStream(3, 'optimizer bits');
  const p = tensor(backend, random.normal(SIZE), [SIZE]);
  p.requiresGrad = true;
  const optimizer = new Optimizer([{ params: new Map([['p', p]]) }], { learningRate: 1e-3, weightDecay: 0.05 });
  for (let step = 0; step < 20; step++) {
    p.grad = tensor(backend, random.normal(SIZE, 0.01), [SIZE]);
    clipGradients([p], 0.2).dispose();
    optimizer.step(1e-3 / (1 + step));
  }
  const values = await p.data();
  optimizer.dispose();
  return values;
}

/** The same backend without its optimizer kernel: core composes. */
function withoutAdamW(backend: Backend): Backend {
  return {
    name: backend.name,
    interfaceVersion: backend.interfaceVersion,
    supports: backend.supports,
    kernels: Object.fromEntries(
      Object.entries(backend.kernels).filter(([name]) => name !== 'adamw'),
    ) as Backend['kernels'],
    upload: (data, dtype) => backend.upload(data, dtype),
    read: (storage) => backend.read(storage),
    sync: () => backend.sync(),
    free: (storage) => backend.free(storage),
    memory: () => backend.memory(),
    resetPeak: () => backend.resetPeak(),
    dispose: () => backend.dispose(),
  };
}

test.each([
  ['AdamW', AdamW],
  ['Adam', Adam],
] as const)('%s composed of primitives gives the bits of the CPU kernel', async (_, Optimizer) => {
  const backend = await cpu();
  try {
    expect(backend.kernels.adamw).toBeDefined();
    const fused = await trained(backend, Optimizer);
    const composed = await trained(withoutAdamW(backend), Optimizer);
    expect(composed).toEqual(fused);
  } finally {
    await backend.dispose();
  }
});
