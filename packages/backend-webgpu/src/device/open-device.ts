/// <reference types="@webgpu/types" preserve="true" />
import { BackendError } from '@lowrank/core';
import type * as Dawn from 'webgpu';

export interface OpenOptions {
  readonly powerPreference?: GPUPowerPreference;
  readonly adapter?: GPUAdapter;
  readonly features?: readonly GPUFeatureName[];
  readonly limits?: 'adapter' | 'default';
}

/**
 * Workgroup memory is not cleared first: our programs write before they read, and software devices clear it once for every few
 * invocations, which took 15 times as long as the program itself. Browsers always clear.
 */
const dawnFeatures = ['disable_workgroup_init'];

/** Kept for as long as the process: Dawn's devices do not outlive the object that they come from. */
let dawn: Promise<GPU> | undefined;

/** A device with all that the adapter offers in memory and workgroups. */
export async function openDevice(options: OpenOptions): Promise<{ adapter: GPUAdapter; device: GPUDevice }> {
  const adapter = options.adapter ?? (await findAdapter(options.powerPreference));
  const features = options.features ?? [];
  const missing = features.filter((feature) => !adapter.features.has(feature));
  if (missing.length > 0) {
    throw new BackendError('BACKEND_NOT_AVAILABLE', `${nameOf(adapter)} does not offer ${missing.join(', ')}`, {
      value: missing,
    });
  }
  const requiredLimits = options.limits === 'default' ? {} : limitsOf(adapter);
  try {
    const device = await adapter.requestDevice({ requiredFeatures: [...features], requiredLimits });
    endBeforeProcess(device);
    return { adapter, device };
  } catch (error) {
    const message = `${nameOf(adapter)} gave no device: ${error instanceof Error ? error.message : String(error)}`;
    throw new BackendError('BACKEND_NOT_AVAILABLE', message, { cause: error });
  }
}

/** Devices with work to end before the process does. */
const open = new Set<GPUDevice>();

/** In Node, `process.exit` takes Dawn's objects apart under threads that still compute, which crashes: they are stopped first. */
function endBeforeProcess(device: GPUDevice): void {
  if (dawn === undefined) return;
  if (open.size === 0) process.once('exit', stopAll);
  open.add(device);
  void device.lost.then(() => {
    open.delete(device);
    if (open.size === 0) process.off('exit', stopAll);
  });
}

function stopAll(): void {
  for (const device of open) device.destroy();
}

/** What the adapter says it is; browsers may say nothing. */
export function nameOf({ info }: GPUAdapter): string {
  const parts = [info.description || info.device, info.vendor, info.architecture].filter((part) => part !== '');
  return parts.length === 0 ? 'the WebGPU adapter' : parts.join(', ');
}

async function findAdapter(powerPreference: GPUPowerPreference | undefined): Promise<GPUAdapter> {
  const inNode = typeof globalThis.process?.getBuiltinModule === 'function';
  const own = (globalThis as { navigator?: { gpu?: GPU } }).navigator?.gpu;
  if (own === undefined && !inNode) {
    throw new BackendError(
      'BACKEND_NOT_AVAILABLE',
      'this browser, or this page, has no WebGPU: it needs a secure context (https or localhost) and a browser with navigator.gpu',
    );
  }
  const gpu = own ?? (await (dawn ??= loadDawn()));
  const adapter = await gpu.requestAdapter(powerPreference === undefined ? {} : { powerPreference });
  if (adapter !== null) return adapter;
  throw new BackendError(
    'BACKEND_NOT_AVAILABLE',
    inNode
      ? 'WebGPU found no adapter: install a driver for Vulkan and its loader libvulkan.so.1 (Linux; a software one such as lavapipe or SwiftShader will do, ' +
          'named by VK_ICD_FILENAMES), Metal (macOS) or Direct3D 12 (Windows)'
      : 'WebGPU found no adapter: the browser has none, or has blocked it (see chrome://gpu)',
  );
}

/** Dawn out of npm's `webgpu`. The name is hidden from bundlers, as a parameter that none folds in: browsers never come here. */
async function loadDawn(name = 'webgpu'): Promise<GPU> {
  try {
    const module = (await import(/* @vite-ignore */ /* webpackIgnore: true */ name)) as typeof Dawn;
    return module.create([`enable-dawn-features=${dawnFeatures.join()}`]);
  } catch (error) {
    dawn = undefined;
    const why = error instanceof Error ? error.message : String(error);
    throw new BackendError('BACKEND_NOT_AVAILABLE', `Dawn was not loaded (npm install webgpu): ${why}`, {
      cause: error,
    });
  }
}

/** The adapter's own, where more helps. */
function limitsOf({ limits }: GPUAdapter): Record<string, number> {
  const names = [
    'maxBufferSize',
    'maxStorageBufferBindingSize',
    'maxStorageBuffersPerShaderStage',
    'maxComputeInvocationsPerWorkgroup',
    'maxComputeWorkgroupSizeX',
    'maxComputeWorkgroupStorageSize',
  ] as const;
  return Object.fromEntries(names.map((name) => [name, limits[name]]));
}
