import { BackendError } from '@lowrank/core';
import type { PooledBuffer } from '../memory/storage.ts';
import type { Commands } from './commands.ts';
import type { Counting } from './counters.ts';
import { codeOf, type Failures } from './failures.ts';
import { bufferUsage, mapRead } from './usage.ts';

/** Copies out what is in buffers, after all that is enqueued before; a failure on the way rejects. */
export class Readback {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #commands: Commands;
  readonly #counting: Counting;
  /** What still waits for the device. */
  readonly #waiting = new Set<Promise<unknown>>();

  constructor(device: GPUDevice, failures: Failures, commands: Commands, counting: Counting) {
    this.#device = device;
    this.#failures = failures;
    this.#commands = commands;
    this.#counting = counting;
  }

  async read(pooled: PooledBuffer, bytes: number): Promise<ArrayBuffer> {
    if (bytes === 0) {
      this.#commands.flush();
      await this.#failures.settle();
      return new ArrayBuffer(0);
    }
    const staging = this.#stage(Math.ceil(bytes / 4) * 4);
    try {
      this.#commands.copy(pooled.buffer, staging, bytes);
      pooled.batch = this.#commands.batch;
      this.#commands.flush();
      await this.#answer(staging.mapAsync(mapRead));
      this.#counting.readBytes += bytes;
      return staging.getMappedRange().slice(0, bytes);
    } finally {
      staging.destroy();
    }
  }

  /** Waits for all that was submitted. */
  idle(): Promise<void> {
    return this.#answer(this.#device.queue.onSubmittedWorkDone());
  }

  /** When every read has had its answer. */
  async ended(): Promise<void> {
    await Promise.allSettled(this.#waiting);
  }

  /** Waits for the device's answer and for the failures until then, which say more than a rejected answer does. */
  async #answer(answer: Promise<unknown>): Promise<void> {
    this.#waiting.add(answer);
    let failure: Error | undefined;
    try {
      await answer;
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      // That the device is lost is told by a promise of its own, just before or just after.
      await Promise.race([this.#device.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
    } finally {
      this.#waiting.delete(answer);
    }
    await this.#failures.settle();
    if (failure !== undefined) {
      throw new BackendError('BACKEND_KERNEL', `nothing could be read back: ${failure.message}`, { cause: failure });
    }
  }

  #stage(size: number): GPUBuffer {
    const name = (error: GPUError, filter: GPUErrorFilter): BackendError =>
      new BackendError(codeOf(filter), `reading ${size} bytes back: ${error.message}`, { value: size });
    const usage = bufferUsage.mapRead | bufferUsage.copyTarget;
    return this.#failures.within(this.#device, name, () => this.#device.createBuffer({ size, usage, label: 'read' }));
  }
}
