import { BackendError } from '@lowrank/core';
import type { Counting } from '../device/counters.ts';
import { codeOf, type Failures } from '../device/failures.ts';
import { bufferUsage } from '../device/usage.ts';
import type { PooledBuffer } from './storage.ts';

const smallest = 256;
/** What may lie free beside the most that was ever in use at one time. */
const spareBytes = 64 * 2 ** 20;

/**
 * Buffers by size class, given back and taken again.
 *
 * **Order.** A buffer given back may be taken at once: what is enqueued later runs later. Only `queue.writeBuffer` overtakes
 * the commands that are still being collected, so uploads ask for a quiet buffer, one that this batch does not use.
 * **Bound.** In use and free together stay below 5/4 of the most that was in use at one time, plus 64 MiB: a step
 * finds the buffers of the step before, and a peak that is over is not kept twice.
 * **Eviction.** What has lain free longest goes first. It is destroyed after the next submit, for the commands that are
 * being collected may name it.
 */
export class BufferPool {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #counting: Counting;
  readonly #limit: number;
  /** Oldest first. */
  readonly #free = new Set<PooledBuffer>();
  /** In the order of their numbers, and taken so: the same calls then get the same buffers in each step, and find their bind groups. */
  readonly #bySize = new Map<number, PooledBuffer[]>();
  readonly #doomed: PooledBuffer[] = [];
  #freeBytes = 0;
  #usedBytes = 0;
  #peakBytes = 0;
  #ids = 0;

  /** `limit`: bytes at most, in use and free. */
  constructor(device: GPUDevice, failures: Failures, counting: Counting, limit: number) {
    this.#device = device;
    this.#failures = failures;
    this.#counting = counting;
    this.#limit = limit;
  }

  /** Bytes of all buffers, in use and free. */
  get bytes(): number {
    return this.#usedBytes + this.#freeBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * A buffer of at least `bytes`. `batch`: not one that this batch of commands uses. Undefined where only such are there and
   * another one is beyond the bound: submit, then ask again. `call` describes who asks, for errors.
   */
  take(bytes: number, batch: number | undefined, call: () => string, kernel: string): PooledBuffer | undefined {
    const size = sizeClass(bytes, this.#device.limits.maxBufferSize);
    const free = this.#bySize.get(size) ?? [];
    const at = batch === undefined ? 0 : free.findIndex((pooled) => pooled.batch !== batch);
    const found = at < 0 ? undefined : free.splice(at, 1)[0];
    if (found !== undefined) {
      this.#free.delete(found);
      this.#freeBytes -= size;
      this.#use(size);
      this.#counting.buffersReused++;
      return found;
    }
    if (free.length > 0 && this.bytes + size > this.#bound()) return undefined;
    this.#evict(this.#limit - size);
    if (this.bytes + size > this.#limit) {
      throw new BackendError(
        'BACKEND_OUT_OF_MEMORY',
        `${call()} needs ${bytes} bytes: ${this.#usedBytes} of the ${this.#limit} that memoryLimit allows are in use. ${advice}`,
        { kernel, value: bytes },
      );
    }
    const pooled = this.#create(size, call(), kernel);
    this.#use(size);
    return pooled;
  }

  give(pooled: PooledBuffer): void {
    this.#usedBytes -= pooled.size;
    if (pooled.failure !== undefined) {
      this.#doomed.push(pooled);
      return;
    }
    this.#free.add(pooled);
    this.#freeBytes += pooled.size;
    const sameSize = this.#bySize.get(pooled.size);
    if (sameSize === undefined) {
      this.#bySize.set(pooled.size, [pooled]);
    } else {
      const after = sameSize.findIndex(({ id }) => id > pooled.id);
      sameSize.splice(after < 0 ? sameSize.length : after, 0, pooled);
    }
    this.#evict(this.#bound());
  }

  /** Destroys what has been evicted: to be called when no commands are being collected. Whether there was any. */
  destroyDoomed(): boolean {
    if (this.#doomed.length === 0) return false;
    for (const { buffer } of this.#doomed.splice(0)) buffer.destroy();
    return true;
  }

  #use(size: number): void {
    this.#usedBytes += size;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
  }

  #bound(): number {
    return Math.min(1.25 * this.#peakBytes + spareBytes, this.#limit);
  }

  /** Until in use and free together are at most `bytes`, or nothing is free. */
  #evict(bytes: number): void {
    for (const pooled of this.#free) {
      if (this.bytes <= bytes) return;
      this.#free.delete(pooled);
      this.#freeBytes -= pooled.size;
      const sameSize = this.#bySize.get(pooled.size)!;
      sameSize.splice(sameSize.indexOf(pooled), 1);
      this.#doomed.push(pooled);
      this.#counting.buffersDestroyed++;
    }
  }

  #create(size: number, call: string, kernel: string): PooledBuffer {
    const made: { pooled?: PooledBuffer } = {};
    const name = (error: GPUError, filter: GPUErrorFilter): BackendError => {
      const message = `${call} asked for a buffer of ${size} bytes, ${this.#usedBytes} being in use: ${error.message}. ${advice}`;
      const failure = new BackendError(codeOf(filter), message, { kernel, value: size });
      if (made.pooled !== undefined) made.pooled.failure = failure;
      return failure;
    };
    const usage = bufferUsage.storage | bufferUsage.copySource | bufferUsage.copyTarget;
    const buffer = this.#failures.within(this.#device, name, () =>
      this.#device.createBuffer({ size, usage, label: kernel }),
    );
    this.#counting.buffersCreated++;
    made.pooled = { buffer, size, id: this.#ids++, batch: 0, failure: undefined };
    return made.pooled;
  }
}

const advice = 'Free storage, or use smaller batches, shorter sequences or activation checkpointing';

/** Eight classes in each power of two: at most an eighth is wasted. Multiples of 32 bytes, so any vector type may view them. */
export function sizeClass(bytes: number, most: number): number {
  if (bytes <= smallest) return smallest;
  const step = 2 ** (Math.floor(Math.log2(bytes)) - 3);
  return Math.min(Math.ceil(bytes / step) * step, Math.max(bytes, most - (most % 32)));
}
