import { BackendError } from '@lowrank/core';
import type { WasmVariant } from './wasm-bytes.ts';
import { webAssembly, type WasmModule } from './webassembly.ts';

export interface WasmOptions {
  readonly threads: number;
  readonly memoryLimit: number;
  /** Where `worker.js` lies; by default the inlined copy is used. */
  readonly assets?: string | URL | undefined;
}

/** 65,535 pages of 64 KiB: the most that the modules declare. */
export const PAGE = 65536;
export const MAX_PAGES = 65535;

/**
 * The start of memory, the same in all variants: static data and the first stack below 1 MiB, then the control block with the ring,
 * then a stack for each thread.
 */
export const CONTROL_ADDRESS: number = 1 << 20;
export const STACKS_ADDRESS: number = 2 << 20;
export const STACK_BYTES: number = 256 << 10;

export async function compile(variant: WasmVariant): Promise<WasmModule> {
  try {
    // Not before it is needed: the native engine does without.
    const { wasmBytes } = await import('./wasm-bytes.ts');
    return await webAssembly.compile(await wasmBytes(variant));
  } catch (error) {
    throw new BackendError('BACKEND_NOT_AVAILABLE', `the WebAssembly (${variant}) cannot be loaded: ${String(error)}`, {
      value: variant,
      cause: error,
    });
  }
}

export function workerUrl(assets: string | URL | undefined): URL | undefined {
  return assets === undefined ? undefined : new URL('worker.js', assets);
}
