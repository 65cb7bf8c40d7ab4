import { qloraAdapter } from '@lowrank/adapter-qlora';
import { adapterConformance, adapterSummary } from '@lowrank/conformance';
import { describe, it } from 'vitest';
import { pairAdapter } from './support/pair-adapter.ts';

// Over LoRA and DoRA: e2e/qlora.test.ts. A file says nothing of the base, so each way to store it is an adapter of its own.
for (const quantization of [{}, { format: 'fp4', blockSize: 32, doubleQuantization: false }] as const) {
  adapterConformance(
    { describe, it },
    {
      adapter: qloraAdapter(pairAdapter, quantization),
      // The output starts at the quantized base, which is not the layer's own weight: `qlora.test.ts` says where.
      configs: { [JSON.stringify(quantization)]: { config: { rank: 4 }, start: 'different' } },
      badConfigs: [
        [{ rank: 0 }, 'rank'],
        [{ quantization: { format: 'q4_0' } }, 'quantization.format'],
        [{ quantization: { blockSize: 48 } }, 'quantization.blockSize'],
        [{ quantization: { doubleQuantization: 1 } }, 'quantization.doubleQuantization'],
        [{ quantization: { bits: 4 } }, 'quantization.bits'],
        [{ quantization: 4 }, 'quantization'],
        [{ blockSize: 64 }, 'blockSize'],
      ],
      onReport: (report) => console.log(adapterSummary(report)),
    },
  );
}
