export { loraScale, type LoraConfig, type LoraInit, type LoraOptions } from './config.ts';
export { loraAdapter } from './lora-adapter.ts';
export { lora } from './lora.ts';
