import { doraAdapter } from '@lowrank/adapter-dora';
import { loraAdapter } from '@lowrank/adapter-lora';
import { cpu } from '@lowrank/backend-cpu';
import { adapterConformance, adapterSummary, type AdapterReport } from '@lowrank/conformance';
import { describe, it } from 'vitest';

// Adapters know no backend, so that they work on these is tried here.
const runner = { describe, it };
const backends = {
  'cpu, native': () => cpu({ engine: 'native', threads: 2 }),
  'cpu, WebAssembly': () => cpu({ engine: 'wasm', threads: 2 }),
  'cpu, WebAssembly without fused multiply-adds': () => cpu({ engine: 'wasm-baseline', threads: 1 }),
  'cpu, WebAssembly without shared memory': () => cpu({ engine: 'wasm-unshared', threads: 1 }),
};
const onReport = (report: AdapterReport): void => console.log(adapterSummary(report));

adapterConformance(runner, {
  adapter: loraAdapter,
  configs: {
    'rank 8, alpha 16': { config: { alpha: 16 } },
    'rank 6, rsLoRA, dropout': { config: { rank: 6, alpha: 12, useRslora: true, dropout: 0.25 } },
    'rank 4, orthogonal': { config: { rank: 4, init: 'orthogonal' }, start: 'rounded' },
    'rank 3, PiSSA': { config: { rank: 3, alpha: 5, init: 'pissa' }, start: 'rounded' },
  },
  backends,
  onReport,
});

adapterConformance(runner, {
  adapter: doraAdapter,
  configs: {
    'rank 8, alpha 16': { config: { alpha: 16 } },
    'rank 6, rsLoRA, dropout': { config: { rank: 6, alpha: 12, useRslora: true, dropout: 0.25 } },
    'rank 2, OLoRA': { config: { rank: 2, alpha: 5, init: 'olora' }, start: 'rounded' },
  },
  backends,
  onReport,
});
