import { fromPeftConfig, peftPairNames, stateOnOriginal, toPeftConfig, type AdapterFiles } from '@lowrank/core';
import type { LoraConfig } from './config.ts';

/**
 * PEFT's `adapter_config.json` for `peft_type: "LORA"`, and the keys of its tensors. After PiSSA and OLoRA it is plain LoRA of
 * twice the rank on the original base, as PEFT's own conversion writes it: no decomposition has to be done again exactly.
 */
export const peftFiles: Exclude<AdapterFiles<LoraConfig>['peft'], { unsupported: string }> = {
  peftType: 'LORA',
  tensorNames: (site) => ({ ...peftPairNames(site) }),
  toState: (state, config, site) => stateOnOriginal('lora', state, config, site),
  toConfig: toPeftConfig,
  fromConfig: (peft) => fromPeftConfig('lora', peft),
};
