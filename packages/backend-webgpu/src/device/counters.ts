/** What the backend has asked of the device since it was made; take two and subtract. */
export interface Counters {
  readonly dispatches: number;
  readonly submits: number;
  readonly copies: number;
  readonly uploadedBytes: number;
  readonly readBytes: number;
  /** Buffers made, and those that the pool had. */
  readonly buffersCreated: number;
  readonly buffersReused: number;
  readonly buffersDestroyed: number;
  readonly pipelinesCreated: number;
  readonly bindGroupsCreated: number;
  /** Dispatches by the kernel that was called. */
  readonly dispatchesByKernel: Readonly<Record<string, number>>;
}

export class Counting {
  dispatches = 0;
  submits = 0;
  copies = 0;
  uploadedBytes = 0;
  readBytes = 0;
  buffersCreated = 0;
  buffersReused = 0;
  buffersDestroyed = 0;
  pipelinesCreated = 0;
  bindGroupsCreated = 0;
  readonly #byKernel = new Map<string, number>();

  dispatched(kernel: string): void {
    this.dispatches++;
    this.#byKernel.set(kernel, (this.#byKernel.get(kernel) ?? 0) + 1);
  }

  now(): Counters {
    const { dispatches, submits, copies, uploadedBytes, readBytes } = this;
    const { buffersCreated, buffersReused, buffersDestroyed, pipelinesCreated, bindGroupsCreated } = this;
    return {
      dispatches,
      submits,
      copies,
      uploadedBytes,
      readBytes,
      buffersCreated,
      buffersReused,
      buffersDestroyed,
      pipelinesCreated,
      bindGroupsCreated,
      dispatchesByKernel: Object.fromEntries(this.#byKernel),
    };
  }
}
