import { BackendError } from '@lowrank/core';
import { explain } from './not-available.ts';

/** libtensorflow's eager interface, as tfjs-node's addon gives it. Types and attribute types are numbers. */
export interface Binding {
  createTensor(shape: readonly number[], dtype: number, values: Float32Array | Int32Array): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array;
  executeOp(
    name: string,
    attributes: readonly { name: string; type: number; value: unknown }[],
    inputs: readonly number[],
    outputs: number,
  ): { id: number; shape: number[]; dtype: number }[];
  getNumOfTensors(): number;
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_BOOL: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_INT: number;
  readonly TF_Version: string;
}

export interface NodeOptions {
  /**
   * The module, where the application has it: `import * as tf from '@tensorflow/tfjs-node'`. Default: its addon is found
   * in the package, and the package itself, which would make itself TensorFlow.js's backend, is not loaded.
   */
  readonly module?: unknown;
  /**
   * Folder of the package @tensorflow/tfjs-node. Default: the environment variable `LOWRANK_TFJS_NODE`, else where Node finds
   * the package from the current folder or from here.
   */
  readonly path?: string;
}

/** @throws BackendError `BACKEND_NOT_AVAILABLE` */
export function findBinding(options: NodeOptions): Binding {
  try {
    return options.module === undefined ? addonOf(manifestOf(options.path)) : bindingOf(options.module);
  } catch (error) {
    throw new BackendError('BACKEND_NOT_AVAILABLE', explain('node', error), { value: 'node', cause: error });
  }
}

function bindingOf(module: unknown): Binding {
  const { findBackend } = module as { findBackend?: (name: string) => { binding?: Binding } | null };
  const binding = findBackend?.('tensorflow')?.binding;
  if (binding === undefined) throw new Error("the module given has no backend 'tensorflow'");
  return binding;
}

function addonOf(manifest: string): Binding {
  const load = builtins().module.createRequire(manifest);
  // Says where the addon for this Node lies.
  const finder = load('@mapbox/node-pre-gyp') as { find(manifest: string): string };
  return load(finder.find(manifest)) as Binding;
}

/** The package.json of tfjs-node. */
function manifestOf(path: string | undefined): string {
  const { module, path: paths, cwd, env } = builtins();
  const given = path ?? env['LOWRANK_TFJS_NODE'];
  if (given !== undefined && given !== '') return paths.resolve(given, 'package.json');
  const name = '@tensorflow/tfjs-node/package.json';
  try {
    return module.createRequire(paths.join(cwd, 'package.json')).resolve(name);
  } catch {
    return module.createRequire(import.meta.url).resolve(name);
  }
}

/** What Node brings, without imports that a bundler for browsers would follow. */
function builtins() {
  const node = globalThis.process;
  if (typeof node?.getBuiltinModule !== 'function') throw new Error('libtensorflow runs in Node alone');
  return {
    module: node.getBuiltinModule('node:module'),
    path: node.getBuiltinModule('node:path'),
    cwd: node.cwd(),
    env: node.env,
  };
}
