import type { EngineName } from './engine.ts';

/** What each engine needs beside this package. */
const packages: Record<EngineName, string> = {
  node: '@tensorflow/tfjs-node',
  wasm: '@tensorflow/tfjs-core @tensorflow/tfjs-backend-wasm',
  cpu: '@tensorflow/tfjs-core @tensorflow/tfjs-backend-cpu',
  webgl: '@tensorflow/tfjs-core @tensorflow/tfjs-backend-webgl',
  webgpu: '@tensorflow/tfjs-core @tensorflow/tfjs-backend-webgpu',
};

export function explain(engine: EngineName, error: unknown): string {
  // Node adds who asked on further lines.
  const [reason] = (error instanceof Error ? error.message : String(error)).split('\n');
  return `the engine '${engine}' needs packages that cannot be loaded: npm install ${packages[engine]} (${reason})`;
}
