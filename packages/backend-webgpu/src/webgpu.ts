import { BackendError } from '@lowrank/core';
import { WebgpuBackend } from './backend.ts';
import { nameOf, openDevice, type OpenOptions } from './device/open-device.ts';

export interface WebgpuOptions extends OpenOptions {
  /** Which of several GPUs. Default: the system's choice. */
  readonly powerPreference?: GPUPowerPreference;
  /** The adapter to open a device on. Default: the one that WebGPU offers. */
  readonly adapter?: GPUAdapter;
  /** Optional features to open the device with: `'shader-f16'`, `'subgroups'`. Where one is not offered, `BACKEND_NOT_AVAILABLE`. Default: none. */
  readonly features?: readonly GPUFeatureName[];
  /** What to ask of the device: all that the adapter has, or only what every WebGPU device has. Default: `'adapter'`. */
  readonly limits?: 'adapter' | 'default';
  /** Bytes of buffers at most, in use and in the pool. Default: what the device gives. */
  readonly memoryLimit?: number;
  /** Bytes of a buffer that a program sees at a time; larger ones are bound in parts. Default: the device's limit, which is the most. */
  readonly bindingLimit?: number;
}

/**
 * A backend on WebGPU: the browser's own, or Dawn (npm `webgpu`) on Node. Throws `BACKEND_NOT_AVAILABLE` where there is
 * none, `BACKEND_ARGUMENT` for options out of range.
 */
export async function webgpu(options: WebgpuOptions = {}): Promise<WebgpuBackend> {
  const { memoryLimit = Number.POSITIVE_INFINITY, bindingLimit = Number.POSITIVE_INFINITY } = options;
  for (const [name, value] of Object.entries({ memoryLimit, bindingLimit })) {
    if (value >= 4096) continue;
    throw new BackendError('BACKEND_ARGUMENT', `${name} must be at least 4096 bytes, not ${value}`, { value });
  }
  const { adapter, device } = await openDevice(options);
  return new WebgpuBackend({ device, adapterName: nameOf(adapter), memoryLimit, bindingLimit });
}
