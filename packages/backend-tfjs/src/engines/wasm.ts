import { BackendError } from '@lowrank/core';
import type { Attributes, Engine, EngineTensor, Operands } from './engine.ts';
import { RegisteredEngine } from './registered.ts';
import { importBackend } from './tfjs-core.ts';
import type { DataId, KernelBackend, KernelConfig } from './tfjs-core.ts';

/** What is used of TensorFlow.js's BackendWasm. */
interface BackendWasm extends KernelBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array };
  getMemoryOffset(dataId: DataId): number;
}

/** Where its memory stops growing. */
const HEAP_BYTES = 65_535 * 65_536;
/** For the module's own data, its stack, and XNNPACK's packed weights. */
const HEAP_RESERVE = 2 ** 26;

/** Kernels that call others. */
const callees: Readonly<Record<string, readonly string[]>> = {
  Sum: ['Transpose'],
  Max: ['Transpose'],
  Min: ['Transpose'],
};

/**
 * Each kernel of TensorFlow.js keeps, in a variable of its module, the function of the WebAssembly instance that was set up
 * last. Ours is an instance of our own, so a kernel is bound to it for the length of a call and then given back to the
 * instance of the application, where it has one.
 */
class WasmEngine extends RegisteredEngine {
  override run(kernel: string, inputs: Operands, attributes: Attributes = {}): EngineTensor {
    const configs = [kernel, ...(callees[kernel] ?? [])].map((name) => this.kernel(name));
    bind(configs, this.backend);
    try {
      return this.checked(super.run(kernel, inputs, attributes));
    } finally {
      const theirs = this.core.engine().registry['wasm'];
      if (theirs !== undefined) bind(configs, theirs);
    }
  }

  override write(values: Float32Array | Int32Array, shape: readonly number[]): EngineTensor {
    return this.checked(super.write(values, shape));
  }

  override reservedBytes(): number {
    return (this.backend as BackendWasm).wasm.HEAPU8.byteLength;
  }

  /** The allocator gives address 0 where the heap is full. */
  private checked(x: EngineTensor): EngineTensor {
    const elements = x.shape.reduce((product, size) => product * size, 1);
    const { dataId } = x as EngineTensor & { dataId: DataId };
    if (elements === 0 || (this.backend as BackendWasm).getMemoryOffset(dataId) !== 0) return x;
    this.free(x);
    throw new BackendError('BACKEND_OUT_OF_MEMORY', `the WebAssembly heap has no room for ${elements} elements`, {
      value: elements * 4,
    });
  }
}

function bind(configs: readonly KernelConfig[], backend: KernelBackend): void {
  for (const config of configs) config.setupFunc?.(backend);
}

/** WebAssembly, with SIMD where there is; in pages that are cross-origin isolated also with threads. */
export async function wasmEngine(): Promise<Engine> {
  const { core, factory } = await importBackend('wasm', () => import('@tensorflow/tfjs-backend-wasm'));
  let backend: KernelBackend;
  try {
    backend = await factory();
  } catch (error) {
    // What it rejects with is an object with a message.
    const { message } = error as { message?: string };
    throw new BackendError('BACKEND_NOT_AVAILABLE', `TensorFlow.js's WebAssembly did not start: ${message}`, {
      value: 'wasm',
      cause: error,
    });
  }
  return new WasmEngine('wasm', core, backend, {
    supports: { deterministic: true, nonFinite: true, maxStorageBytes: 2 ** 31 - HEAP_RESERVE },
    memoryLimit: HEAP_BYTES - HEAP_RESERVE,
    quirks: {
      maximumLosesNaN: true,
      signIsRough: true,
      maxBatch: Number.POSITIVE_INFINITY,
      castSaturates: false,
      sumSplitByThreads: false,
      plainMatmulOnly: true,
    },
  });
}
