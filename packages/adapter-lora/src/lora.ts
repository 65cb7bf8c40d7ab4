import type { ConfiguredAdapter } from '@lowrank/core';
import { parseLoraConfig, type LoraConfig, type LoraOptions } from './config.ts';
import { loraAdapter } from './lora-adapter.ts';

/** LoRA with options, for `inject`: see {@link LoraOptions} for the defaults. */
export function lora(options?: LoraOptions): ConfiguredAdapter<LoraConfig> {
  return { adapter: loraAdapter, config: parseLoraConfig(options) };
}
