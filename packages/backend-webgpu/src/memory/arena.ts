import { BackendError, type BlockFormat, type DType, type MemoryUse, type Storage } from '@lowrank/core';
import type { Commands } from '../device/commands.ts';
import type { Failures } from '../device/failures.ts';
import type { BufferPool } from './buffer-pool.ts';
import { WebgpuStorage } from './storage.ts';

/** Who asks for memory, for errors. */
export interface Caller {
  readonly kernel: string;
  describe(): string;
}

/** The pool's buffers as storage: allocation, uploads, accounting. */
export class Arena {
  readonly #pool: BufferPool;
  readonly #commands: Commands;
  readonly #failures: Failures;
  readonly #most: number;
  /** Names this backend's storage. */
  readonly #owner: object = {};
  #live = 0;
  #peak = 0;
  #storages = 0;
  #closed = false;

  /** `most`: bytes of the largest buffer. */
  constructor(pool: BufferPool, commands: Commands, failures: Failures, most: number) {
    this.#pool = pool;
    this.#commands = commands;
    this.#failures = failures;
    this.#most = most;
  }

  /** Fresh storage; `counted`: as the caller's, and not scratch. */
  allocate(
    dtype: DType | BlockFormat,
    length: number,
    byteLength: number,
    caller: Caller,
    counted = true,
  ): WebgpuStorage {
    return this.#make(dtype, length, byteLength, caller, counted, undefined);
  }

  /** Fresh storage with these bytes in it. */
  allocateFilled(
    dtype: DType | BlockFormat,
    length: number,
    bytes: Uint8Array<ArrayBuffer>,
    caller: Caller,
    counted = true,
  ): WebgpuStorage {
    const storage = this.#make(dtype, length, bytes.length, caller, counted, this.#commands.batch);
    this.#commands.write(storage.pooled.buffer, bytes);
    return storage;
  }

  free(storage: Storage): void {
    const mine = this.check(storage);
    mine.freed = true;
    if (mine.counted) {
      this.#live -= mine.byteLength;
      this.#storages--;
    }
    this.#pool.give(mine.pooled);
  }

  /** The storage, if it is this backend's and still there. */
  check(storage: Storage): WebgpuStorage {
    this.#failures.check();
    if (!(storage instanceof WebgpuStorage) || storage.owner !== this.#owner) {
      throw new BackendError('BACKEND_ARGUMENT', 'the storage belongs to another backend', { value: storage });
    }
    if (storage.freed) {
      const what = `${storage.dtype} storage of ${storage.length} elements`;
      throw new BackendError('BACKEND_FREED', `the ${what} has been freed`, { value: storage });
    }
    return storage;
  }

  use(): MemoryUse {
    return {
      liveBytes: this.#live,
      peakBytes: this.#peak,
      liveStorages: this.#storages,
      reservedBytes: this.#closed ? 0 : this.#pool.bytes,
    };
  }

  resetPeak(): void {
    this.#peak = this.#live;
  }

  /** Everything is gone with the device. */
  close(): void {
    this.#closed = true;
    this.#live = 0;
    this.#storages = 0;
  }

  #make(
    dtype: DType | BlockFormat,
    length: number,
    byteLength: number,
    caller: Caller,
    counted: boolean,
    batch: number | undefined,
  ): WebgpuStorage {
    if (byteLength > this.#most) {
      throw new BackendError(
        'BACKEND_OUT_OF_MEMORY',
        `${caller.describe()} needs ${byteLength} bytes in one piece: this device has buffers of at most ${this.#most}`,
        { kernel: caller.kernel, value: byteLength },
      );
    }
    const describe = (): string => caller.describe();
    let pooled = this.#pool.take(byteLength, batch, describe, caller.kernel);
    if (pooled === undefined) {
      this.#commands.flush();
      pooled = this.#pool.take(byteLength, undefined, describe, caller.kernel)!;
    }
    if (counted) {
      this.#live += byteLength;
      this.#peak = Math.max(this.#peak, this.#live);
      this.#storages++;
    }
    return new WebgpuStorage(this.#owner, pooled, dtype, length, byteLength, counted);
  }
}
