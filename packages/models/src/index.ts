export * from './architectures/index.ts';
export * from './causal-lm/index.ts';
export * from './chat/index.ts';
export * from './data/index.ts';
export * from './export/index.ts';
export * from './generate/index.ts';
export { ModelsError, type ModelsErrorCode } from './models-error.ts';
export * from './tokenizer/index.ts';
export * from './train/index.ts';
