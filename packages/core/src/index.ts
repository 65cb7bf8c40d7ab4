export * from './adapter/adapter.ts';
export * from './adapter/config-fields.ts';
export * from './adapter/host-weight.ts';
export * from './adapter/targets.ts';
export * from './backend/backend.ts';
export * from './backend/kernels.ts';
export * from './blocks/index.ts';
export * from './errors/core-error.ts';
export * from './host/arrays.ts';
export * from './modules/index.ts';
/** `elementary.exp` and so on: host numbers with the same bits on every engine; the tensor operations have the same names. */
export * as elementary from './numerics/elementary.ts';
export * from './ops/index.ts';
export * from './random/dropout-mask.ts';
export * from './random/philox.ts';
export * from './random/random-stream.ts';
export { backward } from './tensor/backward.ts';
export { keep, noGrad, scope } from './tensor/scope.ts';
export { fromStorage, tensor, Tensor } from './tensor/tensor.ts';
