import { ADAPTER_INTERFACE_VERSION, lowRankAt, setUpLowRank, type Adapter } from '@lowrank/core';
import { loraScale, parseLoraConfig, type LoraConfig } from './config.ts';
import { loraDelta } from './delta.ts';
import { ggufFiles } from './gguf-files.ts';
import { mergeLora } from './merge.ts';
import { peftFiles } from './peft-files.ts';

/** y = y0 + s B (A dropout(x)). With PiSSA and OLoRA y0 is what they leave of the weight, W - s B0 A0. */
export const loraAdapter: Adapter<LoraConfig> = {
  type: 'lora',
  interfaceVersion: ADAPTER_INTERFACE_VERSION,
  parseConfig: parseLoraConfig,

  setup: (site, original, config, context) => setUpLowRank(site, original, lowRankAt(config, site.path), context),

  delta(x, _y0, base, { params }, config, context) {
    const input = base.kind === 'embedding' || config.dropout === 0 ? x : context.dropout(x, config.dropout);
    return loraDelta(input, { A: params['A']!, B: params['B']!, scale: loraScale(lowRankAt(config, base.path)) });
  },

  merge: mergeLora,
  files: { gguf: ggufFiles, peft: peftFiles },
};
