import {
  BACKEND_INTERFACE_VERSION,
  type Backend,
  type DType,
  type MemoryUse,
  type Storage,
  type Supports,
  type TypedArray,
} from '@lowrank/core';
import type { Engine, EngineName } from './engines/engine.ts';
import { makeKernels } from './kernels/index.ts';
import { Workspace } from './workspace.ts';

/** A backend over one of TensorFlow.js's engines. `tfjs()` makes them. */
export class TfjsBackend implements Backend {
  /** `'tfjs:node'`, `'tfjs:wasm'`, ... */
  readonly name: string;
  readonly interfaceVersion: typeof BACKEND_INTERFACE_VERSION = BACKEND_INTERFACE_VERSION;
  readonly supports: Supports;
  readonly kernels: Backend['kernels'];
  readonly engine: EngineName;
  readonly #engine: Engine;
  readonly #workspace: Workspace;
  #disposal: Promise<void> | undefined;

  constructor(engine: Engine) {
    this.name = `tfjs:${engine.name}`;
    this.engine = engine.name;
    this.#engine = engine;
    this.#workspace = new Workspace(engine);
    this.supports = {
      precision: 'f32',
      // Core decodes on the host: TensorFlow.js has no kernel that would multiply with blocks.
      blockFormats: [],
      // Some engines fuse, but none sums in one chain in ascending order.
      fusedMultiplyAdd: false,
      ...engine.supports,
    };
    this.kernels = makeKernels(this.#workspace, (kernel, args, call) => this.#workspace.call(kernel, args, call));
  }

  upload(data: TypedArray, dtype: DType): Storage {
    this.#workspace.assertAlive();
    return this.#workspace.upload(dtype === 'f32' ? asFloats(data) : asIntegers(data), dtype);
  }

  async read(storage: Storage): Promise<TypedArray> {
    return this.#workspace.read(storage);
  }

  async sync(): Promise<void> {
    this.#workspace.assertAlive();
    await this.#engine.sync();
  }

  free(storage: Storage): void {
    this.#workspace.free(storage);
  }

  memory(): MemoryUse {
    return this.#workspace.use();
  }

  resetPeak(): void {
    this.#workspace.resetPeak();
  }

  /** Tensors that are alive in the engine: one for each live storage, or for several that hold the same. */
  tensorCount(): number {
    return this.#engine.tensorCount();
  }

  /** Frees everything, the engine included; the application's TensorFlow.js goes on as it is. */
  dispose(): Promise<void> {
    if (this.#disposal === undefined) {
      this.#workspace.close();
      this.#disposal = this.#engine.dispose();
    }
    return this.#disposal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

function asFloats(data: TypedArray): Float32Array {
  return data instanceof Float32Array ? data : Float32Array.from(data);
}

function asIntegers(data: TypedArray): Int32Array {
  return data instanceof Int32Array ? data : Int32Array.from(data);
}
