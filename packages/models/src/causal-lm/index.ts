export { openBaseModel, type BaseModel } from './base-model.ts';
export { CausalLm, type CausalLmParts, type ForwardOptions } from './causal-lm.ts';
export { configFromGguf, type CausalLmConfig } from './config.ts';
export { KvCache } from './kv-cache.ts';
export { loadCausalLm } from './load.ts';
export { batchLoss } from './loss.ts';
export { sequenceBatch, type SequenceBatch, type TokenBatch } from './sequences.ts';
export type { LoadOptions } from './tensor-reader.ts';
