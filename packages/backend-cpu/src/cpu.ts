import { BackendError } from '@lowrank/core';
import { CpuBackend } from './backend.ts';
import { checkBits, roundsToBf16 } from './bit-check.ts';
import type { Engine, ProductOperands } from './engines/engine.ts';
import { nativeEngine } from './engines/native.ts';
import { wasmUnsharedEngine } from './engines/wasm-unshared.ts';
import { wasmEngine } from './engines/wasm.ts';

export interface CpuOptions {
  /** Threads that compute (JavaScript's own not counted). Default: as many as the machine runs at once. */
  readonly threads?: number;
  /**
   * Default: the first of native, relaxed WebAssembly, baseline WebAssembly, unshared WebAssembly that works here.
   * `'wasm'` is relaxed WebAssembly where the JavaScript engine and the processor have it, else baseline.
   */
  readonly engine?: 'native' | 'wasm' | 'wasm-baseline' | 'wasm-unshared';
  /** Of the native engine, which it asks for. Default: the best that the processor has. */
  readonly instructionSet?: 'x86_64_v3' | 'x86_64_v4' | 'neon' | 'x86_64_v4_bf16' | 'x86_64_v4_amx';
  /**
   * `'bf16'`: `matmul` and `matmulQuantized` round both operands to bfloat16 (to nearest, ties to even) and add up in f32, all other
   * kernels stay as they are. The native engine alone, on processors with AVX-512's or AMX's instructions for it. Default: `'f32'`.
   */
  readonly productOperands?: ProductOperands;
  /** Bytes of storage at most. Default: the machine's memory (native), 4 GiB (WebAssembly). */
  readonly memoryLimit?: number;
  /**
   * A URL under which the package's `worker.js` is served, ending in a slash, for pages whose content policy forbids the
   * inlined copy (blob: workers). Default: the inlined copy.
   */
  readonly assets?: string | URL;
}

type Start = () => Promise<Engine> | Engine;

/**
 * A backend on the CPU. Takes the native addon where it loads and gives the right bits, else WebAssembly.
 * Throws `BACKEND_NOT_AVAILABLE` where the engine that was asked for, or every engine, cannot run here or has no such
 * products, `BACKEND_ARGUMENT` for options out of range.
 */
export async function cpu(options: CpuOptions = {}): Promise<CpuBackend> {
  const threads = options.threads ?? availableThreads();
  if (!Number.isInteger(threads) || threads < 1 || threads > 256) {
    throw new BackendError('BACKEND_ARGUMENT', `threads must be an integer in 1..256, not ${threads}`, {
      value: threads,
    });
  }
  const memoryLimit = options.memoryLimit ?? Number.POSITIVE_INFINITY;
  if (!(memoryLimit > 0)) {
    throw new BackendError('BACKEND_ARGUMENT', `memoryLimit must be positive, not ${memoryLimit}`, {
      value: memoryLimit,
    });
  }
  const productOperands = options.productOperands ?? 'f32';
  if (productOperands !== 'f32' && productOperands !== 'bf16') {
    throw new BackendError(
      'BACKEND_ARGUMENT',
      `productOperands must be 'f32' or 'bf16', not '${String(productOperands)}'`,
      { value: productOperands },
    );
  }
  const native = options.instructionSet !== undefined || productOperands === 'bf16';
  const chosen = options.engine ?? (native ? 'native' : undefined);
  if (productOperands === 'bf16' && chosen !== 'native') {
    throw new BackendError(
      'BACKEND_NOT_AVAILABLE',
      `bf16 products are the native engine's alone: WebAssembly has no instructions for them; not engine '${chosen}'`,
      { value: chosen },
    );
  }
  const wasm = { threads, memoryLimit, assets: options.assets };
  const starts: Record<'native' | 'relaxed' | 'baseline' | 'unshared', Start> = {
    native: () =>
      nativeEngine({
        threads,
        memoryLimit: Math.min(memoryLimit, machineMemory()),
        instructionSet: options.instructionSet,
        productOperands,
      }),
    relaxed: () => wasmEngine('relaxed', wasm),
    baseline: () => wasmEngine('baseline', wasm),
    unshared: () => wasmUnsharedEngine(wasm),
  };
  switch (chosen) {
    case undefined:
      return firstOf([starts.native, starts.relaxed, starts.baseline, starts.unshared]);
    case 'native':
      return firstOf([starts.native]);
    case 'wasm':
      return firstOf([starts.relaxed, starts.baseline]);
    case 'wasm-baseline':
      return firstOf([starts.baseline]);
    case 'wasm-unshared':
      return firstOf([starts.unshared]);
    default:
      throw new BackendError('BACKEND_ARGUMENT', `there is no engine '${String(chosen)}'`, { value: chosen });
  }
}

/** The first that starts and gives the bits that its kernels were compiled to give. */
async function firstOf(starts: readonly Start[]): Promise<CpuBackend> {
  const reasons: string[] = [];
  for (const start of starts) {
    try {
      const engine = await start();
      const backend = new CpuBackend(engine, engine.fused);
      if (engine.productOperands === 'bf16') {
        if (await roundsToBf16(backend)) return backend;
        await backend.dispose();
        reasons.push(`${engine.name} does not round its products' operands to bf16`);
        continue;
      }
      const bits = await checkBits(backend);
      if (bits === (engine.fused ? 'fused' : 'unfused')) return backend;
      await backend.dispose();
      reasons.push(`${engine.name} has ${bits} multiply-adds`);
    } catch (error) {
      if (!(error instanceof BackendError) || error.code !== 'BACKEND_NOT_AVAILABLE') throw error;
      reasons.push(error.message);
    }
  }
  throw new BackendError('BACKEND_NOT_AVAILABLE', `no CPU engine can be used here: ${reasons.join('; ')}`);
}

function availableThreads(): number {
  const node = globalThis.process;
  if (typeof node?.getBuiltinModule === 'function') return node.getBuiltinModule('node:os').availableParallelism();
  return (globalThis as { navigator?: { hardwareConcurrency?: number } }).navigator?.hardwareConcurrency ?? 1;
}

/** What the process may use: a container's limit where there is one, else the machine's. */
function machineMemory(): number {
  const node = globalThis.process;
  if (typeof node?.getBuiltinModule !== 'function') return 0;
  const total = node.getBuiltinModule('node:os').totalmem();
  const limit = node.constrainedMemory();
  const bytes = limit > 0 ? Math.min(total, limit) : total;
  return Math.min(bytes, 128 * 2 ** 30);
}
