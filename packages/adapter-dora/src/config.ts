import { parseLowRankConfig, type LowRankConfig, type LowRankInit, type LowRankOptions } from '@lowrank/core';

/** How A and B start; the magnitude starts as the weight's norms. */
export type DoraInit = LowRankInit;

/** DoRA (Liu et al. 2024, arXiv 2402.09353), with every option resolved. */
export type DoraConfig = LowRankConfig;

/**
 * Options and their defaults, LoRA's: `rank` 8, `alpha` 8 (PEFT's, whatever the rank), `dropout` 0, `useRslora` false, `init`
 * 'kaiming', `targetModules` ['q_proj', 'v_proj'], `excludeModules` [], `rankPattern` and `alphaPattern` {},
 * `layersToTransform` and `layersPattern` [] (all layers), `modulesToSave` [], `bias` 'none'.
 */
export type DoraOptions = LowRankOptions;

/** @throws AdapterError ADAPTER_CONFIG; `path` is the field that is wrong or unknown. */
export function parseDoraConfig(input: unknown): DoraConfig {
  return parseLowRankConfig('dora', input);
}

/** What multiplies B A: alpha / rank, or alpha / sqrt(rank) with `useRslora`. */
export { lowRankScale as doraScale } from '@lowrank/core';
