export { StandaloneLora, type BuildOptions } from './build.ts';
export type { CombineLoraOptions, CombineSource } from './combine.ts';
export { loraScale, type LoraConfig, type LoraInit, type LoraOptions } from './config.ts';
export type { LoraPair } from './delta.ts';
export { loraAdapter } from './lora-adapter.ts';
export { lora, type Lora } from './lora.ts';
export { WrappedLora, type LoraLayerOptions } from './wrap.ts';
