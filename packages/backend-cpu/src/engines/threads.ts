import { workerSource } from '../generated/worker.ts';

/** A worker of Node or of a browser. */
export interface Thread {
  post(message: unknown, transfer?: ArrayBuffer[]): void;
  onMessage(listener: (message: unknown) => void): void;
  /** It could not start, or ended without being asked to. */
  onError(listener: (reason: string) => void): void;
  hold(whether: boolean): void;
  terminate(): Promise<void>;
}

/** Starts `worker/worker.js`: the inlined copy, or the file at a URL. */
export function startThread(url: string | URL | undefined): Thread {
  const node = globalThis.process;
  return typeof node?.getBuiltinModule === 'function' ? startNodeThread(url) : startWebThread(url);
}

function startNodeThread(url: string | URL | undefined): Thread {
  const { Worker } = globalThis.process.getBuiltinModule('node:worker_threads');
  const options = { execArgv: [], env: {} };
  const worker =
    url === undefined
      ? new Worker(workerSource, { ...options, eval: true })
      : new Worker(new URL(String(url)), options);
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    onMessage: (listener) => void worker.on('message', listener),
    onError(listener) {
      worker.on('error', (error) => listener(String(error)));
      worker.on('exit', (code) => listener(`exit ${code}`));
    },
    hold: (whether) => (whether ? worker.ref() : worker.unref()),
    async terminate() {
      await worker.terminate();
    },
  };
}

function startWebThread(url: string | URL | undefined): Thread {
  const source = url ?? URL.createObjectURL(new Blob([workerSource], { type: 'text/javascript' }));
  const worker = new WebWorker(source);
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    onMessage(listener) {
      worker.addEventListener('message', (event) => listener((event as { data?: unknown }).data));
    },
    onError(listener) {
      worker.addEventListener('error', (event) => listener((event as { message?: string }).message ?? 'error'));
    },
    hold() {},
    async terminate() {
      worker.terminate();
      if (url === undefined) URL.revokeObjectURL(String(source));
    },
  };
}

/** The part of the browser's `Worker` that is used: the project is checked without the DOM's types. */
interface WebWorkerLike {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void;
  addEventListener(type: string, listener: (event: object) => void): void;
  terminate(): void;
}
const WebWorker = (globalThis as { Worker?: unknown }).Worker as new (url: string | URL) => WebWorkerLike;
