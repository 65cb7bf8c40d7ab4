import { ADAPTER_INTERFACE_VERSION, lowRankAt, startLowRank, tensor, type Adapter } from '@lowrank/core';
import { loraScale, parseLoraConfig, type LoraConfig } from './config.ts';
import { loraDelta } from './delta.ts';
import { ggufFiles } from './gguf-files.ts';
import { mergeLora } from './merge.ts';
import { peftFiles } from './peft-files.ts';

/** y = y0 + s B (A dropout(x)). */
export const loraAdapter: Adapter<LoraConfig> = {
  type: 'lora',
  interfaceVersion: ADAPTER_INTERFACE_VERSION,
  parseConfig: parseLoraConfig,

  setup(site, _original, config, { backend, random }) {
    const here = lowRankAt(config, site.path);
    const { a, b } = startLowRank(site, here, random);
    const A = tensor(backend, a, [here.rank, site.inFeatures]);
    const B = tensor(backend, b, [site.outFeatures, here.rank]);
    return Promise.resolve({ params: { A, B }, buffers: {} });
  },

  delta(x, _y0, base, { params }, config, context) {
    const input = base.kind === 'embedding' || config.dropout === 0 ? x : context.dropout(x, config.dropout);
    return loraDelta(input, { A: params['A']!, B: params['B']!, scale: loraScale(lowRankAt(config, base.path)) });
  },

  merge: mergeLora,
  files: { gguf: ggufFiles, peft: peftFiles },
};
