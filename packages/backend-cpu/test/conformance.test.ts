/** The published suite over every engine: all kernels against float64, all gradients, the rules of storage and order. */
import { backendConformance, type Mode } from '@lowrank/conformance';
import { cpu } from '@lowrank/backend-cpu';
import { describe, it } from 'vitest';

/** Baseline and unshared WebAssembly are the same kernels: for one of them the values are enough. */
const engines: { engine: 'native' | 'wasm' | 'wasm-baseline' | 'wasm-unshared'; modes: Mode[] }[] = [
  { engine: 'native', modes: ['test', 'grad'] },
  { engine: 'wasm', modes: ['test', 'grad'] },
  { engine: 'wasm-baseline', modes: [] },
  { engine: 'wasm-unshared', modes: ['test', 'grad'] },
];

describe.each(engines)('$engine', ({ engine, modes }) => {
  backendConformance({ describe, it }, () => cpu({ engine, threads: 2 }), { modes });
});
