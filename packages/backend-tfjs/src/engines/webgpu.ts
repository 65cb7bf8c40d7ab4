import { BackendError } from '@lowrank/core';
import type { Engine } from './engine.ts';
import { GraphicsEngine } from './graphics.ts';
import { importBackend } from './tfjs-core.ts';
import type { KernelBackend } from './tfjs-core.ts';

/** What is used of TensorFlow.js's WebGPUBackend. */
interface WebgpuBackend extends KernelBackend {
  readonly device: {
    readonly limits: { readonly maxStorageBufferBindingSize: number };
    readonly queue: { onSubmittedWorkDone(): Promise<unknown> };
    destroy(): void;
  };
  /** Commands that are not submitted yet. */
  readonly commandEncoder: unknown;
  submitQueue(): void;
}

class WebgpuEngine extends GraphicsEngine {
  override async sync(): Promise<void> {
    const backend = this.backend as WebgpuBackend;
    if (backend.commandEncoder != null) backend.submitQueue();
    await backend.device.queue.onSubmittedWorkDone();
  }

  override async dispose(): Promise<void> {
    await super.dispose();
    (this.backend as WebgpuBackend).device.destroy();
  }
}

/** WebGPU, on a device of its own. */
export async function webgpuEngine(): Promise<Engine> {
  const gpu = (globalThis as unknown as { navigator?: { gpu?: { requestAdapter(): Promise<unknown> } } }).navigator
    ?.gpu;
  if (gpu === undefined || (await gpu.requestAdapter()) == null) {
    const message = 'tfjs:webgpu needs a browser with WebGPU and a device that it may use';
    throw new BackendError('BACKEND_NOT_AVAILABLE', message, { value: 'webgpu' });
  }
  const { core, factory } = await importBackend('webgpu', () => import('@tensorflow/tfjs-backend-webgpu'));
  const backend = (await factory()) as WebgpuBackend;
  return new WebgpuEngine('webgpu', core, backend, {
    supports: {
      // Its scatter, and the product that splits k, add with atomics in the order that threads arrive.
      deterministic: false,
      // WGSL may assume that there are none.
      nonFinite: false,
      maxStorageBytes: backend.device.limits.maxStorageBufferBindingSize,
    },
    memoryLimit: Number.POSITIVE_INFINITY,
    quirks: {
      maximumLosesNaN: false,
      signIsRough: false,
      maxBatch: 65_535,
      castSaturates: true,
      sumSplitByThreads: false,
      plainMatmulOnly: false,
    },
  });
}
