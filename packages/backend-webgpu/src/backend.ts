import {
  BACKEND_INTERFACE_VERSION,
  BackendError,
  type Backend,
  type BlockFormat,
  type DType,
  type MemoryUse,
  type Storage,
  type Supports,
  type TypedArray,
} from '@lowrank/core';
import type { Device } from './device.ts';
import { BindGroups } from './device/bind-groups.ts';
import { Commands } from './device/commands.ts';
import { Counting, type Counters } from './device/counters.ts';
import { describeCall } from './device/describe-call.ts';
import { Dispatcher } from './device/dispatcher.ts';
import { codeOf, disposed, Failures } from './device/failures.ts';
import { Pipelines } from './device/pipelines.ts';
import { Readback } from './device/readback.ts';
import { blockFormatsOfKernels, makeKernels } from './kernels/index.ts';
import { Arena, type Caller } from './memory/arena.ts';
import { BufferPool } from './memory/buffer-pool.ts';
import { checkBlocks } from './memory/check-blocks.ts';
import { Lists } from './memory/lists.ts';
import type { PanelType } from './wgsl/panels.ts';

export interface Parts {
  readonly device: GPUDevice;
  /** The adapter's name. */
  readonly adapterName: string;
  /** Bytes of buffers at most, in use and free. */
  readonly memoryLimit: number;
  /** Bytes of one binding at most; the device's own limit counts too. */
  readonly bindingLimit: number;
  readonly panels: PanelType;
}

/** The WebGPU backend over a device. `webgpu()` makes them. */
export class WebgpuBackend implements Backend {
  readonly name = 'webgpu';
  readonly interfaceVersion: typeof BACKEND_INTERFACE_VERSION = BACKEND_INTERFACE_VERSION;
  readonly supports: Supports;
  readonly kernels: Backend['kernels'];
  /** What the adapter says it is: `'SwiftShader driver 5.0.0, google, swiftshader'`. */
  readonly device: string;
  /** The WebGPU device, for programs that draw or compute on it as well. */
  readonly gpuDevice: GPUDevice;
  readonly #counting = new Counting();
  readonly #failures = new Failures();
  readonly #commands: Commands;
  readonly #arena: Arena;
  readonly #lists: Lists;
  readonly #readback: Readback;
  readonly #dispatcher: Dispatcher;
  /** What the kernel call that is being made has allocated. */
  readonly #outputs: Storage[] = [];
  readonly #scratch: Storage[] = [];
  readonly #bindingBytes: number;
  #kernel = '';
  #arguments: readonly unknown[] = [];
  readonly #caller: Caller;
  #disposal: Promise<void> | undefined;

  constructor({ device, adapterName, memoryLimit, bindingLimit, panels }: Parts) {
    const { limits } = device;
    this.device = adapterName;
    this.gpuDevice = device;
    this.#bindingBytes = Math.min(limits.maxStorageBufferBindingSize, bindingLimit);
    const counting = this.#counting;
    const failures = this.#failures;
    const commands = new Commands(device, failures, counting);
    const pool = new BufferPool(device, failures, counting, memoryLimit);
    const arena = new Arena(pool, commands, failures, limits.maxBufferSize);
    const bindGroups = new BindGroups(device, commands.uniforms, counting);
    commands.afterSubmit = () => {
      if (pool.destroyDoomed()) bindGroups.clear();
    };
    this.#commands = commands;
    this.#arena = arena;
    this.#lists = new Lists(arena);
    this.#readback = new Readback(device, failures, commands, counting);
    this.#dispatcher = new Dispatcher({
      arena,
      commands,
      pipelines: new Pipelines(device, failures, counting),
      bindGroups,
      bindingBytes: this.#bindingBytes,
      bindings: limits.maxStorageBuffersPerShaderStage,
    });
    this.#caller = { kernel: '', describe: () => describeCall(this.#kernel, this.#arguments) };
    this.supports = {
      precision: 'f32',
      blockFormats: blockFormatsOfKernels,
      fusedMultiplyAdd: false,
      deterministic: true,
      nonFinite: false,
      maxStorageBytes: limits.maxBufferSize,
      ...(panels === 'f32' ? {} : { productOperands: 'f16' }),
    };
    this.kernels = makeKernels(this.#device(panels), (kernel, args, call) => this.#call(kernel, args, call));
    this.#listen();
  }

  upload(data: TypedArray, dtype: DType): Storage {
    this.#failures.check();
    const values = dtype === 'f32' ? asFloats(data) : asIntegers(data);
    const bytes = new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
    return this.#arena.allocateFilled(dtype, data.length, bytes, uploader(`${dtype}[${data.length}]`));
  }

  uploadBlocks(bytes: Uint8Array, format: BlockFormat, shape: readonly [number, number]): Storage {
    this.#failures.check();
    checkBlocks(bytes, format, shape, this.supports.blockFormats);
    const caller = uploader(`${format}[${shape.join(', ')}]`);
    return this.#arena.allocateFilled(format, shape[0] * shape[1], bytes as Uint8Array<ArrayBuffer>, caller);
  }

  async read(storage: Storage): Promise<TypedArray> {
    const mine = this.#arena.check(storage);
    this.#dispatcher.materialize(mine);
    const { dtype, pooled, byteLength } = mine;
    const bytes = await this.#readback.read(pooled, byteLength);
    if (dtype === 'f32') return new Float32Array(bytes);
    return dtype === 'i32' ? new Int32Array(bytes) : new Uint8Array(bytes);
  }

  async sync(): Promise<void> {
    this.#failures.check();
    this.#commands.flush();
    await this.#readback.idle();
  }

  free(storage: Storage): void {
    this.#arena.free(storage);
  }

  memory(): MemoryUse {
    return this.#arena.use();
  }

  resetPeak(): void {
    this.#arena.resetPeak();
  }

  /** What has been asked of the device so far. */
  counters(): Counters {
    return this.#counting.now();
  }

  /** Destroys the device; reads that still wait are rejected with `BACKEND_DISPOSED`. */
  dispose(): Promise<void> {
    this.#disposal ??= this.#end();
    return this.#disposal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #end(): Promise<void> {
    this.#failures.lose(disposed());
    this.#arena.close();
    this.gpuDevice.destroy();
    await this.#readback.ended();
  }

  #device(panels: PanelType): Device {
    const { limits } = this.gpuDevice;
    return {
      limits: {
        invocations: limits.maxComputeInvocationsPerWorkgroup,
        workgroupBytes: limits.maxComputeWorkgroupStorageSize,
        bindings: limits.maxStorageBuffersPerShaderStage,
        bindingBytes: this.#bindingBytes - (this.#bindingBytes % 256),
      },
      panels,
      output: (length, dtype = 'f32') => {
        const storage = this.#arena.allocate(dtype, length, length * 4, this.#caller);
        this.#outputs.push(storage);
        return storage;
      },
      filled: (word, length, dtype) => {
        const storage = this.#arena.allocate(dtype, length, length * 4, this.#caller);
        storage.fill = word;
        return storage;
      },
      wordOf: (storage) => this.#arena.check(storage).fill,
      scratch: (words) => this.#takeScratch(words),
      list: (values) => this.#lists.get(values, this.#caller),
      run: (program, call) => this.#dispatcher.run(program, call, this.#caller, (words) => this.#takeScratch(words)),
    };
  }

  #takeScratch(words: number): Storage {
    const storage = this.#arena.allocate('i32', words, words * 4, this.#caller, false);
    this.#scratch.push(storage);
    return storage;
  }

  /** Runs a kernel's TypeScript side: its scratch is given back, and where it throws its outputs too. */
  #call<Result>(kernel: string, args: readonly unknown[], call: () => Result): Result {
    this.#failures.check();
    this.#kernel = kernel;
    this.#arguments = args;
    (this.#caller as { kernel: string }).kernel = kernel;
    try {
      const result = call();
      this.#outputs.length = 0;
      return result;
    } catch (error) {
      for (const storage of this.#outputs.splice(0)) this.#arena.free(storage);
      throw error;
    } finally {
      this.#arguments = [];
      if (this.#scratch.length > 0) for (const storage of this.#scratch.splice(0)) this.#arena.free(storage);
    }
  }

  #listen(): void {
    this.gpuDevice.addEventListener('uncapturederror', (event) => {
      event.preventDefault();
      const { error } = event;
      this.#failures.record(new BackendError(codeOf('internal'), `the device reports: ${error.message}`));
    });
    void this.gpuDevice.lost.then(({ reason, message }) => {
      this.#failures.lose(
        new BackendError(
          'BACKEND_LOST',
          `the GPU device was lost (${reason}): ${message || 'no reason was given'}. What it held is gone: make a new backend`,
          { value: reason },
        ),
      );
    });
  }
}

function uploader(what: string): Caller {
  return { kernel: 'upload', describe: () => `upload of ${what}` };
}

function asFloats(data: TypedArray): Float32Array {
  return data instanceof Float32Array ? data : new Float32Array(data);
}

function asIntegers(data: TypedArray): Int32Array {
  return data instanceof Int32Array ? data : new Int32Array(data);
}
