import { BackendError } from '@lowrank/core';
import { control } from '../generated/control.ts';
import { CommandRing } from './command-ring.ts';
import { SharedEngine } from './shared-engine.ts';
import { startThread } from './threads.ts';
import {
  compile,
  CONTROL_ADDRESS,
  MAX_PAGES,
  PAGE,
  STACK_BYTES,
  STACKS_ADDRESS,
  type WasmOptions,
  workerUrl,
} from './wasm-module.ts';
import { webAssembly, type WasmMemory } from './webassembly.ts';

/** Memory grows by at least this much at a time. */
const GROWTH_PAGES = 256;

type Message =
  | { readonly kind: 'ready' }
  | { readonly kind: 'signal' }
  | { readonly kind: 'error'; readonly message: string };

/** Starts WebAssembly threads over one shared memory. Throws `BACKEND_NOT_AVAILABLE` where there is none. */
export async function wasmEngine(variant: 'relaxed' | 'baseline', options: WasmOptions): Promise<SharedEngine> {
  const { threads } = options;
  const firstAddress = Math.ceil((STACKS_ADDRESS + threads * STACK_BYTES) / PAGE) * PAGE;
  const memory = sharedMemory(firstAddress / PAGE);
  const module = await compile(variant);
  let bytes = new Uint8Array(memory.buffer);
  let ending = false;
  /** Until the engine is made nobody listens. */
  const listener: { signal(): void; crash(reason: string): void } = { signal() {}, crash() {} };

  const workers = Array.from({ length: threads }, () => startThread(workerUrl(options.assets)));
  const started = workers.map(
    (worker, index) =>
      new Promise<void>((resolve, reject) => {
        const fail = (reason: string) => {
          reject(new Error(reason));
          if (!ending) listener.crash(reason);
        };
        worker.onError(fail);
        worker.onMessage((received) => {
          const message = received as Message;
          if (message.kind === 'ready') resolve();
          else if (message.kind === 'signal') listener.signal();
          else fail(message.message);
        });
        const stack = STACKS_ADDRESS + (index + 1) * STACK_BYTES;
        worker.post({ kind: 'shared', module, memory, control: CONTROL_ADDRESS, threads, index, stack });
      }),
  );
  const terminate = async () => {
    ending = true;
    await Promise.all(workers.map((worker) => worker.terminate()));
  };
  try {
    await Promise.all(started);
  } catch (error) {
    await terminate();
    throw new BackendError('BACKEND_NOT_AVAILABLE', `the worker threads did not start: ${String(error)}`, {
      cause: error,
    });
  }
  for (const worker of workers) worker.hold(false);

  const ring = new CommandRing(memory.buffer, CONTROL_ADDRESS, () => Atomics.notify(ring.words, control.TAIL));
  const engine = new SharedEngine({
    name: `wasm ${variant}`,
    threads,
    fused: variant === 'relaxed',
    firstAddress,
    endAddress: Math.min(MAX_PAGES * PAGE, firstAddress + options.memoryLimit),
    ring,
    commit(end) {
      if (end <= bytes.length) return true;
      const needed = Math.ceil(end / PAGE) - bytes.length / PAGE;
      const generous = Math.min(Math.max(needed, GROWTH_PAGES), MAX_PAGES - bytes.length / PAGE);
      if (!grow(memory, generous) && !grow(memory, needed)) return false;
      bytes = new Uint8Array(memory.buffer);
      return true;
    },
    write: (address, from) => bytes.set(from, address),
    read: (address, to) => to.set(bytes.subarray(address, address + to.length)),
    reserved: () => bytes.length,
    /** All of them: the one that ends last tells that all have ended. */
    hold(whether) {
      for (const worker of workers) worker.hold(whether);
    },
    wakeAll() {
      ending = true;
      Atomics.add(ring.words, control.WAKE, 1);
      Atomics.notify(ring.words, control.TAIL);
      Atomics.notify(ring.words, control.WAKE);
    },
    release: terminate,
  });
  listener.signal = () => engine.signal();
  listener.crash = (reason) => engine.crash(reason);
  return engine;
}

function grow(memory: WasmMemory, pages: number): boolean {
  try {
    memory.grow(pages);
    return true;
  } catch {
    return false;
  }
}

function sharedMemory(initial: number): WasmMemory {
  if (typeof SharedArrayBuffer === 'undefined') {
    throw new BackendError(
      'BACKEND_NOT_AVAILABLE',
      'no shared memory: the page is not cross-origin isolated (send COOP and COEP headers, or use wasm-unshared)',
    );
  }
  try {
    return new webAssembly.Memory({ initial, maximum: MAX_PAGES, shared: true });
  } catch (error) {
    throw new BackendError('BACKEND_NOT_AVAILABLE', `no shared WebAssembly memory: ${String(error)}`, { cause: error });
  }
}
