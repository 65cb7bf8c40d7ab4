export { BuiltQlora, type BuildOptions } from './build.ts';
export type {
  QloraConfig,
  QloraQuantization,
  QloraQuantizationOptions,
  Quantization,
  QuantizationOptions,
} from './config.ts';
export { qloraAdapter } from './qlora-adapter.ts';
export { qlora, type Qlora, type QloraOptions } from './qlora.ts';
export { quantizeModel, type QuantizedModel, type QuantizeModelOptions } from './quantize-model.ts';
