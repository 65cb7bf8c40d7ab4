import { fromPeftConfig, peftPairNames, toPeftConfig, type AdapterFiles } from '@lowrank/core';
import type { LoraConfig } from './config.ts';

/** PEFT's `adapter_config.json` for `peft_type: "LORA"`, and the keys of its tensors. */
export const peftFiles: Exclude<AdapterFiles<LoraConfig>['peft'], { unsupported: string }> = {
  peftType: 'LORA',
  tensorNames: (site) => ({ ...peftPairNames(site) }),
  toConfig: toPeftConfig,
  fromConfig: (peft) => fromPeftConfig('lora', peft),
};
