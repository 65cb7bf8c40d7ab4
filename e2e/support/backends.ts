/** Every backend that runs in Node, by the name that `--backend` has for it. */
import { cpu } from '@lowrank/backend-cpu';
import { tfjs } from '@lowrank/backend-tfjs';
import { webgpu } from '@lowrank/backend-webgpu';
import type { Backend } from '@lowrank/core';

export const backends = {
  'cpu:native': () => cpu({ engine: 'native', threads: 2 }),
  'cpu:wasm': () => cpu({ engine: 'wasm', threads: 2 }),
  'cpu:wasm-baseline': () => cpu({ engine: 'wasm-baseline', threads: 2 }),
  'cpu:wasm-unshared': () => cpu({ engine: 'wasm-unshared' }),
  webgpu: () => webgpu(),
  'tfjs:node': () => tfjs({ engine: 'node' }),
  'tfjs:wasm': () => tfjs({ engine: 'wasm' }),
  'tfjs:cpu': () => tfjs({ engine: 'cpu' }),
} satisfies Record<string, () => Promise<Backend>>;

export type BackendName = keyof typeof backends;

export const backendNames: readonly BackendName[] = Object.keys(backends) as BackendName[];
