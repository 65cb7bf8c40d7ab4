import type { Engine } from './engine.ts';
import { RegisteredEngine } from './registered.ts';
import { importBackend } from './tfjs-core.ts';

/** Plain JavaScript: slow, and everywhere. */
export async function cpuEngine(): Promise<Engine> {
  const { core, factory } = await importBackend('cpu', () => import('@tensorflow/tfjs-backend-cpu'));
  const backend = await factory();
  // Else it advises on stderr to install tfjs-node.
  (backend as unknown as { firstUse: boolean }).firstUse = false;
  return new RegisteredEngine('cpu', core, backend, {
    supports: { deterministic: true, nonFinite: true, maxStorageBytes: 2 ** 32 },
    memoryLimit: Number.POSITIVE_INFINITY,
    quirks: {
      maximumLosesNaN: false,
      signIsRough: true,
      maxBatch: Number.POSITIVE_INFINITY,
      castSaturates: false,
      sumSplitByThreads: false,
      plainMatmulOnly: false,
    },
  });
}
