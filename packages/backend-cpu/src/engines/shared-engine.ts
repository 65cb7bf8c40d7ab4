import { BackendError } from '@lowrank/core';
import { control } from '../generated/control.ts';
import type { CommandRing } from './command-ring.ts';
import type { Engine, ProductOperands } from './engine.ts';
import { disposed, failureOf } from './failure.ts';

/** What native and WebAssembly engines differ in, beside their ring. */
export interface Host {
  readonly name: string;
  readonly threads: number;
  readonly fused: boolean;
  readonly productOperands?: ProductOperands;
  readonly firstAddress: number;
  readonly endAddress: number;
  readonly ring: CommandRing;
  commit(end: number): boolean;
  write(address: number, bytes: Uint8Array): void;
  read(address: number, bytes: Uint8Array): void;
  reserved(): number;
  /** Keeps the process alive, or no longer. */
  hold(whether: boolean): void;
  /** Wakes all threads, which find `QUIT`. */
  wakeAll(): void;
  /** Called once the threads have ended. */
  release(): Promise<void>;
}

interface Waiter {
  readonly command: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** An engine whose memory JavaScript and the threads share: commands go through a ring, and signals come back. */
export class SharedEngine implements Engine {
  readonly name: string;
  readonly threads: number;
  readonly fused: boolean;
  readonly productOperands: ProductOperands;
  readonly firstAddress: number;
  readonly endAddress: number;
  readonly transfersInOrder = false;
  readonly #host: Host;
  readonly #ring: CommandRing;
  #waiters: Waiter[] = [];
  #broken: Error | undefined;
  #ended: (() => void) | undefined;

  constructor(host: Host) {
    this.#host = host;
    this.#ring = host.ring;
    this.name = host.name;
    this.threads = host.threads;
    this.fused = host.fused;
    this.productOperands = host.productOperands ?? 'f32';
    this.firstAddress = host.firstAddress;
    this.endAddress = host.endAddress;
  }

  get enqueued(): number {
    return this.#ring.enqueued;
  }

  completed(): number {
    return this.#ring.completed();
  }

  idle(): boolean {
    if (this.#broken !== undefined) throw this.#broken;
    this.#ring.drain();
    return this.completed() >= this.enqueued;
  }

  enqueue(command: Float64Array, words: number): void {
    if (this.#broken !== undefined) throw this.#broken;
    this.#ring.enqueue(command, words);
  }

  commit(end: number): boolean {
    return end <= this.endAddress && this.#host.commit(end);
  }

  write(address: number, bytes: Uint8Array): void {
    this.#host.write(address, bytes);
  }

  writeLater(address: number, bytes: Uint8Array): void {
    const copy = bytes.slice();
    this.#ring.writeLater(() => this.#host.write(address, copy));
  }

  async read(address: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    await this.#done();
    if (this.#broken !== undefined) throw this.#broken;
    const failure = failureOf(this.#ring.words);
    if (failure !== undefined) {
      Atomics.store(this.#ring.words, control.FAILED, 0);
      throw failure;
    }
    const bytes = new Uint8Array(length);
    if (length > 0) this.#host.read(address, bytes);
    return bytes;
  }

  reserved(): number {
    return this.#host.reserved();
  }

  async dispose(): Promise<void> {
    if (this.#broken === undefined) {
      this.fail(disposed());
      this.#host.hold(true);
      const ended = new Promise<void>((resolve) => {
        this.#ended = resolve;
      });
      Atomics.store(this.#ring.words, control.QUIT, 1);
      this.#host.wakeAll();
      this.signal();
      await ended;
    }
    await this.#host.release();
  }

  /** A thread has signalled: commands are done, the ring has room again, or all threads have ended. */
  signal(): void {
    if (Atomics.load(this.#ring.words, control.ENDED) === this.threads) this.#ended?.();
    if (this.#broken !== undefined) return;
    this.#ring.drain();
    if (this.#waiters.length === 0) return;
    const completed = this.completed();
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((waiter) => waiter.command > completed);
    for (const waiter of waiting) if (waiter.command <= completed) waiter.resolve();
    if (this.#waiters.length === 0) this.#host.hold(false);
  }

  /** Nothing runs any more: what waits is rejected, and so is all that is asked later. */
  fail(error: Error): void {
    this.#broken ??= error;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    this.#host.hold(false);
  }

  /** A thread has ended by itself: a trap in a kernel, or a worker that the system took away. */
  crash(reason: string): void {
    this.fail(new BackendError('BACKEND_KERNEL', `a thread of the engine ${this.name} has ended: ${reason}`));
    this.#ended?.();
  }

  #done(): Promise<void> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    const command = this.#ring.enqueued;
    if (this.completed() >= command) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (this.#waiters.length === 0) this.#host.hold(true);
      this.#waiters.push({ command, resolve, reject });
      this.#ring.askForSignal();
    });
  }
}
