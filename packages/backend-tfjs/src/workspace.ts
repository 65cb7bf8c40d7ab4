import { BackendError, type DType, type MemoryUse, type Storage } from '@lowrank/core';
import type { Device } from './device.ts';
import type { Attributes, Engine, EngineName, EngineTensor, Operands, Quirks } from './engines/engine.ts';
import { TfjsStorage } from './storage.ts';

/** Up to so many elements, to write them is less than to ask for them. */
const SMALL = 256;

/** An engine's tensors as storage: accounting, lifetimes, and what is freed when a kernel returns. */
export class Workspace implements Device {
  readonly engine: EngineName;
  readonly quirks: Quirks;
  readonly #engine: Engine;
  /** Names this backend's storage. */
  readonly #owner: object = {};
  /** What the kernel that runs has made on its way. */
  readonly #temporary = new Set<EngineTensor>();
  readonly #outputs: TfjsStorage[] = [];
  /** Tensors that a read waits for: how many, and whether they are to be freed after it. */
  readonly #readers = new Map<EngineTensor, { count: number; free: boolean }>();
  #kernel = '';
  #live = 0;
  #peak = 0;
  #storages = 0;
  #disposed = false;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.engine = engine.name;
    this.quirks = engine.quirks;
  }

  // ---- For kernels ----

  operand(storage: Storage, shape: readonly number[]): EngineTensor {
    const { tensor } = this.check(storage);
    return sameShape(tensor.shape, shape) ? tensor : this.reshape(tensor, shape);
  }

  run(kernel: string, inputs: Operands, attributes: Attributes = {}): EngineTensor {
    return this.#keep(this.#engine.run(kernel, inputs, attributes));
  }

  reshape(x: EngineTensor, shape: readonly number[]): EngineTensor {
    return this.#keep(this.#engine.reshape(x, shape));
  }

  scalar(value: number): EngineTensor {
    return this.#keep(this.#engine.write(Float32Array.of(value), []));
  }

  filled(value: number, length: number, dtype: 'f32' | 'i32' = 'f32'): EngineTensor {
    if (length <= SMALL) {
      const values = dtype === 'f32' ? new Float32Array(length) : new Int32Array(length);
      return this.#keep(this.#engine.write(values.fill(value), [length]));
    }
    return this.run('Fill', {}, { shape: [length], value, dtype: dtype === 'f32' ? 'float32' : 'int32' });
  }

  output(length: number, make: () => EngineTensor, dtype: 'f32' | 'i32' = 'f32'): Storage {
    this.#assertRoom(length * 4);
    const storage = this.#count(dtype, length, length === 0 ? this.#empty(dtype) : this.#take(make()));
    this.#outputs.push(storage);
    return storage;
  }

  replace(target: Storage, make: () => EngineTensor): void {
    const storage = this.check(target);
    if (storage.length === 0) return;
    this.#assertRoom(storage.byteLength);
    const tensor = this.#take(make());
    this.#release(storage.tensor);
    storage.tensor = tensor;
  }

  // ---- For the backend ----

  /** Runs a kernel: what it has made on its way is freed, and where it throws its outputs too. */
  call<Result>(kernel: string, args: readonly unknown[], body: () => Result): Result {
    this.assertAlive();
    this.#kernel = kernel;
    try {
      const result = body();
      this.#outputs.length = 0;
      return result;
    } catch (error) {
      for (const storage of this.#outputs.splice(0)) this.free(storage);
      throw error instanceof BackendError ? error : kernelError(this.#engine.name, kernel, args, error);
    } finally {
      for (const tensor of this.#temporary) this.#engine.free(tensor);
      this.#temporary.clear();
    }
  }

  upload(values: Float32Array | Int32Array, dtype: DType): Storage {
    this.#kernel = 'upload';
    this.#assertRoom(values.byteLength);
    return this.#count(dtype, values.length, this.#engine.write(values, [values.length]));
  }

  async read(target: Storage): Promise<Float32Array | Int32Array> {
    const { tensor } = this.check(target);
    const readers = this.#readers.get(tensor) ?? { count: 0, free: false };
    readers.count++;
    this.#readers.set(tensor, readers);
    try {
      return await this.#engine.read(tensor);
    } finally {
      readers.count--;
      if (readers.count === 0) {
        this.#readers.delete(tensor);
        if (readers.free && !this.#disposed) this.#engine.free(tensor);
      }
    }
  }

  free(target: Storage): void {
    const storage = this.check(target);
    const { tensor } = storage;
    (storage as TfjsStorage).tensor = undefined;
    this.#live -= storage.byteLength;
    this.#storages--;
    this.#release(tensor);
  }

  /** The storage, if it is this backend's and still there. */
  check(storage: Storage): TfjsStorage & { tensor: EngineTensor } {
    this.assertAlive();
    if (!(storage instanceof TfjsStorage) || storage.owner !== this.#owner) {
      throw new BackendError('BACKEND_ARGUMENT', 'the storage belongs to another backend', { value: storage });
    }
    if (storage.tensor === undefined) {
      const what = `${storage.dtype} storage of ${storage.length} elements`;
      throw new BackendError('BACKEND_FREED', `the ${what} has been freed`, { value: storage });
    }
    return storage as TfjsStorage & { tensor: EngineTensor };
  }

  use(): MemoryUse {
    return {
      liveBytes: this.#live,
      peakBytes: this.#peak,
      liveStorages: this.#storages,
      reservedBytes: this.#disposed ? 0 : this.#engine.reservedBytes(this.#live),
    };
  }

  resetPeak(): void {
    this.#peak = this.#live;
  }

  assertAlive(): void {
    if (this.#disposed) throw new BackendError('BACKEND_DISPOSED', 'the backend has been disposed of');
  }

  /** Everything is gone with the engine. */
  close(): void {
    this.#disposed = true;
    this.#live = 0;
    this.#storages = 0;
  }

  #empty(dtype: 'f32' | 'i32'): EngineTensor {
    return this.#engine.write(dtype === 'f32' ? new Float32Array(0) : new Int32Array(0), [0]);
  }

  #keep(tensor: EngineTensor): EngineTensor {
    this.#temporary.add(tensor);
    return tensor;
  }

  /** A tensor to keep: one made on the way, or another reference to an operand. */
  #take(tensor: EngineTensor): EngineTensor {
    return this.#temporary.delete(tensor) ? tensor : this.#engine.reshape(tensor, tensor.shape);
  }

  #release(tensor: EngineTensor): void {
    const readers = this.#readers.get(tensor);
    if (readers === undefined) this.#engine.free(tensor);
    else readers.free = true;
  }

  #count(dtype: DType, length: number, tensor: EngineTensor): TfjsStorage {
    const storage = new TfjsStorage(this.#owner, dtype, length, tensor);
    this.#live += storage.byteLength;
    this.#peak = Math.max(this.#peak, this.#live);
    this.#storages++;
    return storage;
  }

  #assertRoom(bytes: number): void {
    const { name, memoryLimit, supports } = this.#engine;
    if (bytes <= supports.maxStorageBytes && this.#live + bytes <= memoryLimit) return;
    const limits = `storage may have ${supports.maxStorageBytes} bytes, all of it ${memoryLimit}`;
    throw new BackendError(
      'BACKEND_OUT_OF_MEMORY',
      `${this.#kernel} needs ${bytes} bytes, ${this.#live} are in use: with TensorFlow.js's engine ${name} one ${limits}. ` +
        'Free storage, or use smaller batches, shorter sequences or activation checkpointing',
      { kernel: this.#kernel, value: bytes },
    );
  }
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** What an engine threw, with the kernel and the sizes it was called with. */
function kernelError(engine: EngineName, kernel: string, args: readonly unknown[], error: unknown): BackendError {
  const shown = args.map((arg) => (arg instanceof TfjsStorage ? `${arg.dtype}[${arg.length}]` : JSON.stringify(arg)));
  const reason = error instanceof Error ? error.message : String(error);
  return new BackendError('BACKEND_KERNEL', `${kernel}(${shown.join(', ')}) on tfjs:${engine}: ${reason}`, {
    kernel,
    cause: error,
  });
}
