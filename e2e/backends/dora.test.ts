// Adapters know no backend, so that they work on these is tried here.
import { doraAdapter } from '@lowrank/adapter-dora';
import { adapterConformance, adapterSummary } from '@lowrank/conformance';
import { describe, it } from 'vitest';
import { backends } from '../support/backends.ts';

adapterConformance(
  { describe, it },
  {
    adapter: doraAdapter,
    configs: {
      'rank 8, alpha 16': { config: { alpha: 16 } },
      'rank 6, rsLoRA, dropout': { config: { rank: 6, alpha: 12, useRslora: true, dropout: 0.25 } },
      'rank 2, OLoRA': { config: { rank: 2, alpha: 5, init: 'olora' }, start: 'rounded' },
    },
    backends,
    onReport: (report) => console.log(adapterSummary(report)),
  },
);
