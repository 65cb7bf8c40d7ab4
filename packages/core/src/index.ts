export * from './backend/backend.ts';
export * from './backend/kernels.ts';
export * from './errors/core-error.ts';
export * from './host/arrays.ts';
export * from './random/dropout-mask.ts';
export * from './random/philox.ts';
