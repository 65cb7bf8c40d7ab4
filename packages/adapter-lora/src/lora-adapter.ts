import {
  ADAPTER_INTERFACE_VERSION,
  addLowRank,
  lowRankAt,
  setUpLowRank,
  type Adapter,
  type AdapterContext,
  type AdapterState,
  type FrozenLayer,
  type Tensor,
} from '@lowrank/core';
import { loraScale, parseLoraConfig, type LoraConfig } from './config.ts';
import { loraDelta, type LoraPair } from './delta.ts';
import { ggufFiles } from './gguf-files.ts';
import { mergeLora } from './merge.ts';
import { peftFiles } from './peft-files.ts';

/** y = y0 + s B (A dropout(x)). With PiSSA and OLoRA y0 is what they leave of the weight, W - s B0 A0. */
export const loraAdapter: Adapter<LoraConfig> = {
  type: 'lora',
  interfaceVersion: ADAPTER_INTERFACE_VERSION,
  parseConfig: parseLoraConfig,

  setup: (site, original, config, context) => setUpLowRank(site, original, lowRankAt(config, site.path), context),

  delta: (x, _y0, base, state, config, context) =>
    loraDelta(inputOf(x, base, config, context), pairOf(base, state, config)),

  output: (x, y0, base, state, config, context) =>
    addLowRank(y0, inputOf(x, base, config, context), pairOf(base, state, config), 'lora.output'),

  merge: mergeLora,
  files: { gguf: ggufFiles, peft: peftFiles },
};

function pairOf(base: FrozenLayer, { params }: AdapterState, config: LoraConfig): LoraPair {
  return { A: params['A']!, B: params['B']!, scale: loraScale(lowRankAt(config, base.path)) };
}

function inputOf(x: Tensor, { kind }: FrozenLayer, { dropout }: LoraConfig, context: AdapterContext): Tensor {
  return kind === 'embedding' || dropout === 0 ? x : context.dropout(x, dropout);
}
