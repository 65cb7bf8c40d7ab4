import { parseLowRankConfig, type LowRankConfig, type LowRankInit, type LowRankOptions } from '@lowrank/core';

/** How A and B start. */
export type LoraInit = LowRankInit;

/** LoRA (Hu et al. 2021, arXiv 2106.09685), with every option resolved. */
export type LoraConfig = LowRankConfig;

/**
 * Options and their defaults: `rank` 8, `alpha` 8 (PEFT's, whatever the rank), `dropout` 0, `useRslora` false, `init` 'kaiming',
 * `targetModules` ['q_proj', 'v_proj'], `excludeModules` [], `rankPattern` and `alphaPattern` {}, `layersToTransform` and
 * `layersPattern` [] (all layers), `modulesToSave` [], `bias` 'none'.
 */
export type LoraOptions = LowRankOptions;

/** @throws AdapterError ADAPTER_CONFIG; `path` is the field that is wrong or unknown. */
export function parseLoraConfig(input: unknown): LoraConfig {
  return parseLowRankConfig('lora', input);
}

/** What multiplies B A: alpha / rank, or alpha / sqrt(rank) for rsLoRA. */
export { lowRankScale as loraScale } from '@lowrank/core';
