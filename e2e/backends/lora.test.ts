// Adapters know no backend, so that they work on these is tried here.
import { loraAdapter } from '@lowrank/adapter-lora';
import { adapterConformance, adapterSummary } from '@lowrank/conformance';
import { describe, it } from 'vitest';
import { backends } from '../support/backends.ts';

adapterConformance(
  { describe, it },
  {
    adapter: loraAdapter,
    configs: {
      'rank 8, alpha 16': { config: { alpha: 16 } },
      'rank 6, rsLoRA, dropout': { config: { rank: 6, alpha: 12, useRslora: true, dropout: 0.25 } },
      'rank 4, orthogonal': { config: { rank: 4, init: 'orthogonal' }, start: 'rounded' },
      'rank 3, PiSSA': { config: { rank: 3, alpha: 5, init: 'pissa' }, start: 'rounded' },
    },
    backends,
    onReport: (report) => console.log(adapterSummary(report)),
  },
);
