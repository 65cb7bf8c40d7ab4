import { recommendedLowRank, type ConfiguredAdapter } from '@lowrank/core';
import { buildLora } from './build.ts';
import { combineLora } from './combine.ts';
import { parseLoraConfig, type LoraConfig, type LoraOptions } from './config.ts';
import { loraDelta } from './delta.ts';
import { wrapLora } from './wrap.ts';
import { loraAdapter } from './lora-adapter.ts';

/** `lora` and what hangs on it. */
export interface Lora {
  /**
   * LoRA with options, for `inject`: see {@link LoraOptions} for the defaults.
   * @throws AdapterError ADAPTER_CONFIG with the path of the option that is wrong.
   */
  (options?: LoraOptions): ConfiguredAdapter<LoraConfig>;
  /** Puts LoRA on one layer. */
  readonly wrap: typeof wrapLora;
  /** LoRA without a layer. */
  readonly build: typeof buildLora;
  /** scale * B (A x) of plain tensors. */
  readonly delta: typeof loraDelta;
  /** A new adapter out of several on one model, weighted. */
  readonly combine: typeof combineLora;
  /** A rank and alpha to begin with: `lora({ ...lora.recommendedDefaults })`. */
  readonly recommendedDefaults: { readonly rank: number; readonly alpha: number };
}

/** LoRA (Hu et al. 2021, arXiv 2106.09685) and rsLoRA (Kalajdzievski 2023, arXiv 2312.03732). */
export const lora: Lora = /* @__PURE__ */ Object.assign(
  (options?: LoraOptions): ConfiguredAdapter<LoraConfig> => ({
    adapter: loraAdapter,
    config: parseLoraConfig(options),
  }),
  { wrap: wrapLora, build: buildLora, delta: loraDelta, combine: combineLora, recommendedDefaults: recommendedLowRank },
);
