import { BackendError, type BackendErrorCode } from '@lowrank/core';

/** What went wrong on the device, which tells it later; `read` and `sync` ask. */
export class Failures {
  /** Answers that are still to come. */
  readonly #pending = new Set<Promise<void>>();
  #first: BackendError | undefined;
  #lost: BackendError | undefined;

  /** The end of everything: the device is gone or was given back. The first reason stays. */
  lose(error: BackendError): void {
    this.#lost ??= error;
  }

  /** Throws where the device is gone. */
  check(): void {
    if (this.#lost !== undefined) throw this.#lost;
  }

  record(error: BackendError): void {
    this.#first ??= error;
  }

  /**
   * Runs `body` and notes the errors that the device finds in it: `name` makes of each the error that is told, and may note it
   * elsewhere as well.
   */
  within<Result>(
    device: GPUDevice,
    name: (error: GPUError, filter: GPUErrorFilter) => BackendError,
    body: () => Result,
  ): Result {
    const filters: GPUErrorFilter[] = ['out-of-memory', 'internal', 'validation'];
    for (const filter of filters) device.pushErrorScope(filter);
    try {
      return body();
    } finally {
      for (const filter of filters.toReversed()) this.#watch(device.popErrorScope(), (error) => name(error, filter));
    }
  }

  /** Waits for all answers; throws the first failure since the last time, which is then told. */
  async settle(): Promise<void> {
    await Promise.all(this.#pending);
    this.check();
    const error = this.#first;
    this.#first = undefined;
    if (error !== undefined) throw error;
  }

  #watch(answer: Promise<GPUError | null>, name: (error: GPUError) => BackendError): void {
    const noted = answer
      .then((error) => {
        if (error !== null) this.record(name(error));
      })
      // A scope of a device that is gone has no answer; `lose` tells why.
      .catch(() => undefined)
      .finally(() => this.#pending.delete(noted));
    this.#pending.add(noted);
  }
}

export const disposed = (): BackendError => new BackendError('BACKEND_DISPOSED', 'the backend has been disposed');

export function codeOf(filter: GPUErrorFilter): BackendErrorCode {
  return filter === 'out-of-memory' ? 'BACKEND_OUT_OF_MEMORY' : 'BACKEND_KERNEL';
}
