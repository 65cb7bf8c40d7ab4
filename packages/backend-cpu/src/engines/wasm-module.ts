import { BackendError } from '@lowrank/core';
import { webAssembly, type WasmModule } from './webassembly.ts';

export type WasmVariant = 'relaxed' | 'baseline' | 'unshared';

export interface WasmOptions {
  readonly threads: number;
  readonly memoryLimit: number;
  /** Where `relaxed.wasm`, `baseline.wasm`, `unshared.wasm` and `worker.js` lie; by default inlined copies are used. */
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

export async function compile(variant: WasmVariant, assets: string | URL | undefined): Promise<WasmModule> {
  try {
    return await webAssembly.compile(await bytesOf(variant, assets));
  } catch (error) {
    throw new BackendError('BACKEND_NOT_AVAILABLE', `the WebAssembly (${variant}) cannot be loaded: ${String(error)}`, {
      value: variant,
      cause: error,
    });
  }
}

export function assetUrl(name: string, assets: string | URL | undefined): URL | undefined {
  return assets === undefined ? undefined : new URL(name, assets);
}

async function bytesOf(variant: WasmVariant, assets: string | URL | undefined): Promise<Uint8Array<ArrayBuffer>> {
  const url = assetUrl(`${variant}.wasm`, assets);
  if (url !== undefined) {
    if (url.protocol === 'file:') {
      const { readFile } = globalThis.process.getBuiltinModule('node:fs/promises');
      return new Uint8Array(await readFile(url));
    }
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url.href} answers ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  }
  const text = atob(await inlined(variant));
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function inlined(variant: WasmVariant): Promise<string> {
  if (variant === 'relaxed') return (await import('../generated/wasm-relaxed.ts')).wasm;
  if (variant === 'baseline') return (await import('../generated/wasm-baseline.ts')).wasm;
  return (await import('../generated/wasm-unshared.ts')).wasm;
}
