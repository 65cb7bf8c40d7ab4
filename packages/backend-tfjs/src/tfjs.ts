import { BackendError } from '@lowrank/core';
import { TfjsBackend } from './backend.ts';
import { cpuEngine } from './engines/cpu.ts';
import type { Engine, EngineName } from './engines/engine.ts';
import { nodeEngine } from './engines/node.ts';
import type { NodeOptions } from './engines/node-binding.ts';
import { wasmEngine } from './engines/wasm.ts';
import { webglEngine } from './engines/webgl.ts';
import { webgpuEngine } from './engines/webgpu.ts';

export interface TfjsOptions extends NodeOptions {
  /**
   * What computes: `'node'` libtensorflow (Node), `'wasm'` WebAssembly, `'cpu'` plain JavaScript, `'webgl'` and `'webgpu'` the
   * graphics processor (browsers). Each is a package of TensorFlow.js that the application installs.
   */
  readonly engine: EngineName;
}

const engines: Record<EngineName, (options: TfjsOptions) => Engine | Promise<Engine>> = {
  node: nodeEngine,
  wasm: wasmEngine,
  cpu: cpuEngine,
  webgl: webglEngine,
  webgpu: webgpuEngine,
};

/**
 * A backend over TensorFlow.js. It has an instance of the engine for itself: the application's own tensors, its current
 * backend and `tf.memory()` stay as they are.
 * Throws `BACKEND_NOT_AVAILABLE` where the engine's package is not installed (the message says which) or cannot run
 * here, `BACKEND_ARGUMENT` for an engine that does not exist.
 */
export async function tfjs(options: TfjsOptions): Promise<TfjsBackend> {
  if (!Object.hasOwn(engines, options.engine)) {
    const known = Object.keys(engines).join(', ');
    throw new BackendError('BACKEND_ARGUMENT', `there is no engine '${options.engine}'; there are ${known}`, {
      value: options.engine,
    });
  }
  return new TfjsBackend(await engines[options.engine](options));
}
