/** What is judged in the browser. Read by the tests, for the names, and by the page, which starts them. */
import type { Backend } from '@lowrank/core';

export interface BrowserBackend {
  /** The report's, in `docs/support.md`. */
  readonly name: string;
  /** Whether the page is cross-origin isolated, that is, whether it has shared memory. */
  readonly isolated: boolean;
  start(): Promise<Backend>;
}

/** The CPU backend, as the page's own circumstances or `asked` make it; it must be `engine`. */
async function cpu(engine: string, asked?: 'wasm-baseline'): Promise<Backend> {
  const { cpu: make } = await import('@lowrank/backend-cpu');
  const backend = await make({ threads: 2, ...(asked === undefined ? {} : { engine: asked }) });
  if (backend.engine === engine) return backend;
  await backend.dispose();
  throw new Error(`the backend is ${backend.engine}, not ${engine}`);
}

export const browserBackends: readonly BrowserBackend[] = [
  { name: 'cpu:wasm (Chromium)', isolated: true, start: () => cpu('wasm relaxed') },
  { name: 'cpu:wasm-baseline (Chromium)', isolated: true, start: () => cpu('wasm baseline', 'wasm-baseline') },
  { name: 'cpu:wasm-unshared (Chromium)', isolated: false, start: () => cpu('wasm unshared') },
  { name: 'webgpu (Chromium)', isolated: false, start: async () => (await import('@lowrank/backend-webgpu')).webgpu() },
  {
    name: 'tfjs:webgl',
    isolated: false,
    start: async () => (await import('@lowrank/backend-tfjs')).tfjs({ engine: 'webgl' }),
  },
  {
    name: 'tfjs:webgpu',
    isolated: false,
    start: async () => (await import('@lowrank/backend-tfjs')).tfjs({ engine: 'webgpu' }),
  },
];
