/** The published suite over every engine: all kernels against float64, all gradients, the rules of storage and order. */
import { backendConformance } from '@lowrank/conformance';
import { keepReport } from '@lowrank/conformance/node';
import { cpu } from '@lowrank/backend-cpu';
import { describe, it } from 'vitest';

const engines = ['native', 'wasm', 'wasm-baseline', 'wasm-unshared'] as const;

describe.each(engines)('%s', (engine) => {
  backendConformance({ describe, it }, () => cpu({ engine, threads: 2 }), { onReport: keepReport(`cpu:${engine}`) });
});
