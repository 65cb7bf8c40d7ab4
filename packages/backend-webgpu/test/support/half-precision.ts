/** Backends whose products hold their operands in half precision. */
import { webgpu, type WebgpuBackend } from '@lowrank/backend-webgpu';
import { BackendError } from '@lowrank/core';
import { create } from 'webgpu';
import { WebgpuBackend as Backend } from '../../src/backend.ts';
import { openDevice } from '../../src/device/open-device.ts';

/** On a device that has f16; on others the same programs with f32 that are rounded to f16, which gives the same numbers. */
export async function halfPrecision(): Promise<WebgpuBackend> {
  try {
    return await webgpu({ features: ['shader-f16'] });
  } catch (error) {
    if (!(error instanceof BackendError) || error.code !== 'BACKEND_NOT_AVAILABLE') throw error;
    const { device } = await openDevice({});
    const unlimited = { memoryLimit: Infinity, bindingLimit: Infinity };
    return new Backend({ device, adapterName: 'rounding', ...unlimited, panels: 'f16 in f32' });
  }
}

/** Kept for as long as the process: Dawn's devices do not outlive the object that they come from. */
let dawn: GPU | undefined;

/** Dawn's device that checks and translates programs, has every feature, and computes nothing. */
export async function nullAdapter(): Promise<GPUAdapter> {
  dawn ??= create(['backend=null']);
  return (await dawn.requestAdapter())!;
}

/** As it would be opened by mistake: programs of f16 on a device without it. */
export async function withoutFeature(): Promise<WebgpuBackend> {
  const { device } = await openDevice({ adapter: await nullAdapter() });
  const unlimited = { memoryLimit: Infinity, bindingLimit: Infinity };
  return new Backend({ device, adapterName: 'null', ...unlimited, panels: 'f16' });
}
