// Adapters know no backend, so that they work on these is tried here: over a base in 4 bits.
import { doraAdapter } from '@lowrank/adapter-dora';
import { loraAdapter } from '@lowrank/adapter-lora';
import { qloraAdapter } from '@lowrank/adapter-qlora';
import { adapterConformance, adapterSummary, reference } from '@lowrank/conformance';
import type { Adapter } from '@lowrank/core';
import { describe, it } from 'vitest';
import { backends } from '../support/backends.ts';

for (const inner of [loraAdapter, doraAdapter]) {
  describe(`over ${inner.type}`, () => {
    adapterConformance(
      { describe, it },
      {
        adapter: qloraAdapter(inner as unknown as Adapter),
        configs: {
          'nf4, rank 6, rsLoRA, dropout': { config: { rank: 6, useRslora: true, dropout: 0.25 }, start: 'different' },
        },
        backends: { reference: () => reference(), ...backends },
        onReport: (report) => console.log(adapterSummary(report)),
      },
    );
  });
}
