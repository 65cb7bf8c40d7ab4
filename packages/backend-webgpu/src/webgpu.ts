import { BackendError } from '@lowrank/core';
import { WebgpuBackend } from './backend.ts';
import { nameOf, openDevice, type OpenOptions } from './device/open-device.ts';

/** The optional features that kernels make use of. */
const usedFeatures = ['shader-f16'] as const;

export type WebgpuFeature = (typeof usedFeatures)[number];

export interface WebgpuOptions extends OpenOptions {
  /** Which of several GPUs. Default: the system's choice. */
  readonly powerPreference?: GPUPowerPreference;
  /** The adapter to open a device on. Default: the one that WebGPU offers. */
  readonly adapter?: GPUAdapter;
  /**
   * Optional features of the device for the kernels to use; where it does not offer one, `BACKEND_NOT_AVAILABLE`. Default: none.
   * `'shader-f16'`: products over tiles round their operands to half precision and sum in f32 (`supports.productOperands`).
   */
  readonly features?: readonly WebgpuFeature[];
  /** What to ask of the device: all that the adapter has, or only what every WebGPU device has. Default: `'adapter'`. */
  readonly limits?: 'adapter' | 'default';
  /** Bytes of buffers at most, in use and in the pool. Default: what the device gives. */
  readonly memoryLimit?: number;
  /** Bytes of a buffer that a program sees at a time; larger ones are bound in parts. Default: the device's limit, which is the most. */
  readonly bindingLimit?: number;
}

/**
 * A backend on WebGPU: the browser's own, or Dawn (npm `webgpu`) on Node. Throws `BACKEND_NOT_AVAILABLE` where there is
 * none, `BACKEND_ARGUMENT` for options out of range and for features that no kernel uses.
 */
export async function webgpu(options: WebgpuOptions = {}): Promise<WebgpuBackend> {
  const { memoryLimit = Number.POSITIVE_INFINITY, bindingLimit = Number.POSITIVE_INFINITY } = options;
  for (const [name, value] of Object.entries({ memoryLimit, bindingLimit })) {
    if (value >= 4096) continue;
    throw new BackendError('BACKEND_ARGUMENT', `${name} must be at least 4096 bytes, not ${value}`, { value });
  }
  const unused = options.features?.filter((feature) => !usedFeatures.includes(feature)) ?? [];
  if (unused.length > 0) {
    const message = `features names ${unused.join(', ')}, which no kernel uses; those that some use: ${usedFeatures.join(', ')}`;
    throw new BackendError('BACKEND_ARGUMENT', message, { value: unused });
  }
  const { adapter, device } = await openDevice(options);
  const panels = options.features?.includes('shader-f16') === true ? 'f16' : 'f32';
  return new WebgpuBackend({ device, adapterName: nameOf(adapter), memoryLimit, bindingLimit, panels });
}
