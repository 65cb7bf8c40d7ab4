import { BackendError } from '@lowrank/core';
import { control } from '../generated/control.ts';
import type { Engine } from './engine.ts';
import { disposed, failureOf } from './failure.ts';
import { startThread, type Thread } from './threads.ts';
import {
  compile,
  CONTROL_ADDRESS,
  MAX_PAGES,
  PAGE,
  STACKS_ADDRESS,
  type WasmOptions,
  workerUrl,
} from './wasm-module.ts';

/** A batch is posted when it has this many words, or when the caller's turn ends. */
const BATCH_WORDS = 16384;

type Message =
  | { readonly kind: 'ready' }
  | { readonly kind: 'error'; readonly message: string }
  | { readonly kind: 'grown'; readonly pages: number; readonly wanted: number }
  | {
      readonly kind: 'read';
      readonly id: number;
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly failure: Int32Array;
    };

/**
 * One worker with a memory of its own, for pages that are not cross-origin isolated: commands, growth, writes and reads are messages,
 * which keep their order by themselves.
 */
class UnsharedEngine implements Engine {
  readonly name = 'wasm unshared';
  readonly threads = 1;
  readonly fused = false;
  readonly firstAddress = STACKS_ADDRESS;
  readonly endAddress: number;
  readonly transfersInOrder = true;
  enqueued = 0;
  readonly #worker: Thread;
  readonly #reads: Map<number, { resolve: (bytes: Uint8Array<ArrayBuffer>) => void; reject: (error: Error) => void }> =
    new Map();
  #batch: Float64Array<ArrayBuffer> = new Float64Array(BATCH_WORDS);
  #words = 0;
  #pages = STACKS_ADDRESS / PAGE;
  #nextRead = 0;
  #broken: Error | undefined;
  #outOfMemory: BackendError | undefined;

  constructor(worker: Thread, memoryLimit: number) {
    this.#worker = worker;
    this.endAddress = Math.min(MAX_PAGES * PAGE, STACKS_ADDRESS + memoryLimit);
  }

  /** Writes need not know: they keep their place among the commands. */
  completed(): number {
    return 0;
  }

  enqueue(command: Float64Array, words: number): void {
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#words + words > BATCH_WORDS) this.#flush();
    if (this.#words === 0) queueMicrotask(() => this.#flush());
    this.#batch.set(command.subarray(0, words), this.#words);
    this.#words += words;
    this.enqueued++;
  }

  /** Whether the system gives that much shows only in the worker; a failure appears at the next read. */
  commit(end: number): boolean {
    if (end > this.endAddress) return false;
    const pages = Math.min(MAX_PAGES, Math.ceil(end / PAGE / 256) * 256);
    if (pages > this.#pages) {
      this.#flush();
      this.#worker.post({ kind: 'grow', pages });
      this.#pages = pages;
    }
    return true;
  }

  write(address: number, bytes: Uint8Array): void {
    this.#flush();
    const copy = bytes.slice();
    this.#worker.post({ kind: 'write', offset: address, bytes: copy }, [copy.buffer]);
  }

  writeLater(address: number, bytes: Uint8Array): void {
    this.write(address, bytes);
  }

  read(address: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    this.#flush();
    return new Promise((resolve, reject) => {
      if (this.#reads.size === 0) this.#worker.hold(true);
      const id = this.#nextRead++;
      this.#reads.set(id, { resolve, reject });
      this.#worker.post({ kind: 'read', id, offset: address, length });
    });
  }

  reserved(): number {
    return this.#pages * PAGE;
  }

  async dispose(): Promise<void> {
    this.fail(disposed());
    await this.#worker.terminate();
  }

  receive(message: Message): void {
    if (message.kind === 'error') {
      this.fail(new BackendError('BACKEND_KERNEL', `the WebAssembly worker has failed: ${message.message}`));
    } else if (message.kind === 'grown') {
      this.#outOfMemory ??= new BackendError(
        'BACKEND_OUT_OF_MEMORY',
        `WebAssembly memory does not grow from ${message.pages * PAGE} to ${message.wanted * PAGE} bytes`,
        { value: message.wanted * PAGE },
      );
    } else if (message.kind === 'read') {
      const waiting = this.#reads.get(message.id);
      this.#reads.delete(message.id);
      if (this.#reads.size === 0) this.#worker.hold(false);
      const failure = this.#outOfMemory ?? failureOf(message.failure);
      if (failure === undefined) waiting?.resolve(message.bytes);
      else waiting?.reject(failure);
    }
  }

  fail(error: Error): void {
    this.#broken ??= this.#outOfMemory ?? error;
    for (const waiting of this.#reads.values()) waiting.reject(this.#broken);
    this.#reads.clear();
    this.#worker.hold(false);
  }

  #flush(): void {
    if (this.#words === 0 || this.#broken !== undefined) return;
    const words = this.#batch.slice(0, this.#words);
    this.#words = 0;
    this.#worker.post({ kind: 'run', words }, [words.buffer]);
  }
}

export async function wasmUnsharedEngine(options: WasmOptions): Promise<Engine> {
  const module = await compile('unshared');
  const worker = startThread(workerUrl(options.assets));
  const engine = new UnsharedEngine(worker, options.memoryLimit);
  await new Promise<void>((resolve, reject) => {
    worker.onMessage((received) => {
      const message = received as Message;
      if (message.kind === 'ready') resolve();
      else if (message.kind === 'error') reject(notStarted(message.message));
      engine.receive(message);
    });
    worker.onError((reason) => {
      reject(notStarted(reason));
      engine.fail(new BackendError('BACKEND_KERNEL', `the WebAssembly worker has ended: ${reason}`));
    });
    worker.post({
      kind: 'unshared',
      module,
      pages: STACKS_ADDRESS / PAGE,
      control: CONTROL_ADDRESS,
      controlBytes: control.WORDS * Int32Array.BYTES_PER_ELEMENT,
      head: control.HEAD,
      tail: control.TAIL,
      failed: control.FAILED,
    });
  });
  worker.hold(false);
  return engine;
}

const notStarted = (reason: string): BackendError =>
  new BackendError('BACKEND_NOT_AVAILABLE', `the WebAssembly worker did not start: ${reason}`);
