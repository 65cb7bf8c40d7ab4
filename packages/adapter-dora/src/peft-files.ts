import {
  AdapterError,
  fromPeftConfig,
  peftPairNames,
  stateOnOriginal,
  toPeftConfig,
  type AdapterFiles,
} from '@lowrank/core';
import type { DoraConfig } from './config.ts';

/** PEFT's `adapter_config.json` for `peft_type: "LORA"` with `use_dora`, and the keys of its tensors. */
export const peftFiles: Exclude<AdapterFiles<DoraConfig>['peft'], { unsupported: string }> = {
  peftType: 'LORA',

  tensorNames: (site) => ({ ...peftPairNames(site), magnitude: 'lora_magnitude_vector' }),

  toState: (state, config, site) => stateOnOriginal('dora', state, config, site),

  toConfig: (config) => ({ ...toPeftConfig(config), use_dora: true }),

  fromConfig(peft) {
    const { use_dora: useDora, ...rest } = peft;
    if (useDora !== true) {
      throw new AdapterError(
        'ADAPTER_UNSUPPORTED',
        `dora: use_dora in adapter_config.json is ${JSON.stringify(useDora)}; without it this is LoRA, which adapter-lora reads`,
        { path: 'use_dora', value: useDora },
      );
    }
    return fromPeftConfig('dora', rest);
  },
};
