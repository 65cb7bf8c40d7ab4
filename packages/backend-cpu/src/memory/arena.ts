import { BackendError, type BlockFormat, type DType, type MemoryUse, type Storage } from '@lowrank/core';
import type { Engine } from '../engines/engine.ts';
import { disposed } from '../engines/failure.ts';
import { Allocator, type Block } from './allocator.ts';
import { CpuStorage } from './storage.ts';

/** An engine's memory as storage: allocation, accounting, and transfers that keep the order of the commands. */
export class Arena {
  readonly #engine: Engine;
  readonly #allocator: Allocator;
  /** Names this backend's storage. */
  readonly #owner: object = {};
  #live = 0;
  #peak = 0;
  #storages = 0;
  #disposed = false;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#allocator = new Allocator(engine.firstAddress, (end) => engine.commit(end));
  }

  /** Fresh storage; `kernel` is who asks, for the error. */
  allocate(dtype: DType | BlockFormat, length: number, byteLength: number, kernel: string): CpuStorage {
    const block = this.#allocator.allocate(byteLength) ?? this.#outOfMemory(byteLength, kernel);
    return this.#count(new CpuStorage(this.#owner, block, dtype, length, byteLength));
  }

  /**
   * Fresh storage with these bytes in it. Written at once where no queued command uses the range; memory does not grow to
   * find such a range, or uploads in a queue that never runs dry would grow it without end.
   */
  allocateFilled(dtype: DType | BlockFormat, length: number, bytes: Uint8Array): CpuStorage {
    const engine = this.#engine;
    const done = engine.transfersInOrder ? engine.enqueued : engine.completed();
    const block =
      this.#allocator.allocateQuiet(bytes.length, done) ??
      this.#allocator.allocate(bytes.length) ??
      this.#outOfMemory(bytes.length, 'upload');
    if (block.quietAt <= done) engine.write(block.offset, bytes);
    else engine.writeLater(block.offset, bytes);
    return this.#count(new CpuStorage(this.#owner, block, dtype, length, bytes.length));
  }

  /** A range without accounting, for scratch and staging. */
  take(bytes: number, kernel: string): Block {
    return this.#allocator.allocate(bytes) ?? this.#outOfMemory(bytes, kernel);
  }

  give(block: Block): void {
    this.#allocator.free(block, this.#engine.enqueued);
  }

  free(storage: Storage): void {
    const mine = this.check(storage);
    mine.freed = true;
    this.#live -= mine.byteLength;
    this.#storages--;
    this.give(mine.block);
  }

  /** The storage, if it is this backend's and still there. */
  check(storage: Storage): CpuStorage {
    if (this.#disposed) throw disposed();
    if (!(storage instanceof CpuStorage) || storage.owner !== this.#owner) {
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
      reservedBytes: this.#disposed ? 0 : Math.max(this.#engine.reserved(), this.#allocator.top),
    };
  }

  resetPeak(): void {
    this.#peak = this.#live;
  }

  /** Everything is gone with the engine. */
  close(): void {
    this.#disposed = true;
    this.#live = 0;
    this.#storages = 0;
  }

  #count(storage: CpuStorage): CpuStorage {
    this.#live += storage.byteLength;
    this.#peak = Math.max(this.#peak, this.#live);
    this.#storages++;
    return storage;
  }

  #outOfMemory(bytes: number, kernel: string): never {
    const { free, largest } = this.#allocator.fragmentation();
    const { endAddress, firstAddress, name } = this.#engine;
    throw new BackendError(
      'BACKEND_OUT_OF_MEMORY',
      `${kernel} needs ${bytes} bytes: ${this.#live} are in use, ${free} are free in pieces of at most ${largest}, and the ` +
        `engine ${name} holds ${this.#allocator.extent} of at most ${endAddress - firstAddress}. ` +
        'Free storage, or use smaller batches, shorter sequences or activation checkpointing',
      { kernel, value: bytes },
    );
  }
}
