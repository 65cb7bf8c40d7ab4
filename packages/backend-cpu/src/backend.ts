import {
  BACKEND_INTERFACE_VERSION,
  BackendError,
  byteLengthOf,
  type Backend,
  type BlockFormat,
  type DType,
  type MemoryUse,
  type Storage,
  type Supports,
  type TypedArray,
} from '@lowrank/core';
import { blockFormatsOfKernels } from './kernels/block-formats.ts';
import type { Device } from './device.ts';
import type { Engine } from './engines/engine.ts';
import { disposed } from './engines/failure.ts';
import { opcodes } from './generated/opcodes.ts';
import { makeKernels } from './kernels/index.ts';
import { Arena } from './memory/arena.ts';
import type { Block } from './memory/allocator.ts';
import type { CpuStorage } from './memory/storage.ts';

/** Uploads up to this size (16,384 token ids) travel inside a command: they need not wait for memory that nobody uses. */
const INLINE_BYTES = 65_536;
/** Words of the largest command. */
const COMMAND_WORDS = 16384;

/** The CPU backend over an engine. `cpu()` makes them. */
export class CpuBackend implements Backend {
  readonly name = 'cpu';
  readonly interfaceVersion: typeof BACKEND_INTERFACE_VERSION = BACKEND_INTERFACE_VERSION;
  readonly supports: Supports;
  readonly kernels: Backend['kernels'];
  /** What runs the kernels: `'native x86_64_v4'`, `'native x86_64_v4_amx'`, `'native neon'`, `'wasm relaxed'`, `'wasm baseline'`, `'wasm unshared'`. */
  readonly engine: string;
  readonly threads: number;
  readonly device: string;
  readonly #engine: Engine;
  readonly #arena: Arena;
  readonly #command: Float64Array = new Float64Array(COMMAND_WORDS);
  readonly #commandBytes: Uint8Array = new Uint8Array(this.#command.buffer);
  /** What the kernel call that is being made has allocated. */
  readonly #outputs: CpuStorage[] = [];
  readonly #scratch: Block[] = [];
  #kernel = '';
  #disposal: Promise<void> | undefined;

  /** `fused`: whether multiply-adds were seen to round once. */
  constructor(engine: Engine, fused: boolean) {
    this.#engine = engine;
    this.#arena = new Arena(engine);
    this.engine = engine.name;
    this.threads = engine.threads;
    this.device = `${engine.name}, ${engine.threads} ${engine.threads === 1 ? 'thread' : 'threads'}`;
    this.supports = {
      precision: 'f32',
      blockFormats: blockFormatsOfKernels,
      fusedMultiplyAdd: fused,
      deterministic: true,
      nonFinite: true,
      maxStorageBytes: engine.endAddress - engine.firstAddress,
      ...(engine.productOperands === 'bf16' ? { productOperands: 'bf16' } : {}),
    };
    this.kernels = makeKernels(this.#device(), (kernel, call) => this.#call(kernel, call));
  }

  upload(data: TypedArray, dtype: DType): Storage {
    this.#checkAlive();
    const values = dtype === 'f32' ? asFloats(data) : asIntegers(data);
    return this.#uploadBytes(values, dtype, data.length);
  }

  uploadBlocks(bytes: Uint8Array, format: BlockFormat, shape: readonly [number, number]): Storage {
    this.#checkAlive();
    if (!this.supports.blockFormats.includes(format)) {
      const known = this.supports.blockFormats.join(', ');
      throw new BackendError('BACKEND_ARGUMENT', `block format ${format} is not among ${known}`, { value: format });
    }
    const expected = byteLengthOf(format, shape, bytes);
    if (bytes.length !== expected) {
      const matrix = `a ${format} matrix [${shape.join(', ')}]`;
      throw new BackendError('BACKEND_ARGUMENT', `${matrix} takes ${expected} bytes, not ${bytes.length}`, {
        value: bytes.length,
      });
    }
    return this.#uploadBytes(bytes, format, shape[0] * shape[1]);
  }

  async read(storage: Storage): Promise<TypedArray> {
    const { dtype, block, byteLength } = this.#arena.check(storage);
    const bytes = await this.#snapshot(block.offset, byteLength);
    if (dtype === 'f32') return new Float32Array(bytes.buffer);
    return dtype === 'i32' ? new Int32Array(bytes.buffer) : bytes;
  }

  async sync(): Promise<void> {
    this.#checkAlive();
    await this.#engine.read(this.#engine.firstAddress, 0);
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

  /** Ends the threads after the command that runs; reads that still wait are rejected with `BACKEND_DISPOSED`. */
  dispose(): Promise<void> {
    this.#disposal ??= this.#engine.dispose();
    this.#arena.close();
    return this.#disposal;
  }

  /**
   * Enqueues nothing but multiply-adds, in `chunks` parts that threads share, and returns how many floating-point
   * operations (two a multiply-add) they are: over the time they take, the machine's peak, which benchmarks divide by.
   */
  multiplyAdds(chunks: number, steps: number): number {
    this.#call('peak', () => {
      const device = this.#device();
      device.run(opcodes.peak, [device.scratch(chunks * Float32Array.BYTES_PER_ELEMENT), chunks, steps]);
    });
    return chunks * steps * 2 * 192;
  }

  /**
   * Blocks the calling thread until all that was enqueued is done: for a profile, which wants the time of each kernel. Programs
   * await `sync`. Needs memory shared with the threads, and a thread that may block: in browsers a worker.
   * @throws BackendError BACKEND_NOT_AVAILABLE on the engine without shared memory.
   */
  block(): void {
    this.#checkAlive();
    const engine = this.#engine;
    if (engine.idle === undefined) {
      throw new BackendError('BACKEND_NOT_AVAILABLE', `the engine ${engine.name} cannot be waited for; use sync()`);
    }
    const nobody = new Int32Array(new SharedArrayBuffer(4));
    // The first polls take some 50 microseconds, in which short kernels end; then the threads get the core.
    for (let polls = 0; !engine.idle(); polls++) if (polls > 250) Atomics.wait(nobody, 0, 0, 0.02);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #device(): Device {
    return {
      threads: this.threads,
      productOperands: this.#engine.productOperands ?? 'f32',
      output: (length, dtype = 'f32') => {
        const storage = this.#arena.allocate(dtype, length, length * 4, this.#kernel);
        this.#outputs.push(storage);
        return storage;
      },
      address: (storage) => this.#arena.check(storage).block.offset,
      scratch: (bytes) => {
        const block = this.#arena.take(bytes, this.#kernel);
        this.#scratch.push(block);
        return block.offset;
      },
      run: (opcode, args, list) => this.#run(opcode, args, list),
    };
  }

  /** Runs a kernel's TypeScript side: its scratch is given back, and where it throws its outputs too. */
  #call<Result>(kernel: string, call: () => Result): Result {
    this.#checkAlive();
    this.#kernel = kernel;
    try {
      const result = call();
      this.#outputs.length = 0;
      return result;
    } catch (error) {
      for (const storage of this.#outputs.splice(0)) this.#arena.free(storage);
      throw error;
    } finally {
      if (this.#scratch.length > 0) for (const block of this.#scratch.splice(0)) this.#arena.give(block);
    }
  }

  #run(opcode: number, args: readonly number[], list: ArrayLike<number> = []): void {
    const words = 2 + args.length + list.length;
    if (words > COMMAND_WORDS) {
      const limit = COMMAND_WORDS - 2 - args.length;
      throw new BackendError(
        'BACKEND_ARGUMENT',
        `${this.#kernel}: a list of ${list.length} numbers is longer than ${limit}`,
        {
          kernel: this.#kernel,
          value: list.length,
        },
      );
    }
    const command = this.#command;
    command[0] = opcode;
    command[1] = words;
    for (let i = 0; i < args.length; i++) command[2 + i] = args[i]!;
    for (let i = 0; i < list.length; i++) command[2 + args.length + i] = list[i]!;
    this.#engine.enqueue(command, words);
  }

  #uploadBytes(data: TypedArray, dtype: DType | BlockFormat, length: number): Storage {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (bytes.length > INLINE_BYTES) return this.#arena.allocateFilled(dtype, length, bytes);
    const storage = this.#arena.allocate(dtype, length, bytes.length, 'upload');
    if (bytes.length === 0) return storage;
    const words = 4 + Math.ceil(bytes.length / 8);
    this.#command.set([opcodes.write, words, storage.block.offset, bytes.length]);
    this.#commandBytes.set(bytes, 32);
    this.#engine.enqueue(this.#command, words);
    return storage;
  }

  /** The bytes as they are once all that was enqueued so far is done, whatever is enqueued later. */
  async #snapshot(address: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const engine = this.#engine;
    if (engine.transfersInOrder || length === 0) return engine.read(address, length);
    const staging = this.#arena.take(length, 'read');
    this.#run(opcodes.copy, [staging.offset, address, length]);
    try {
      return await engine.read(staging.offset, length);
    } finally {
      this.#arena.give(staging);
    }
  }

  #checkAlive(): void {
    if (this.#disposal !== undefined) throw disposed();
  }
}

function asFloats(data: TypedArray): Float32Array {
  return data instanceof Float32Array ? data : Float32Array.from(data);
}

function asIntegers(data: TypedArray): Int32Array {
  return data instanceof Int32Array ? data : Int32Array.from(data);
}
