export { bytesSource } from './byte-source.ts';
export type { ByteSource } from './byte-source.ts';
export type { GgufContents, GgufPairs, GgufTensorInput } from './file-layout.ts';
export { fileSource } from './file-source.ts';
export { GgufError } from './gguf-error.ts';
export type { GgufErrorCode } from './gguf-error.ts';
export { GgufFile, openGguf } from './gguf-file.ts';
export { encodeLoraGguf, readLoraGguf, writeLoraGguf } from './lora-gguf.ts';
export type { LoraGguf, LoraPair } from './lora-gguf.ts';
export { GgufMetadata } from './metadata.ts';
export type { GgufTensorInfo } from './tensor-info.ts';
export type {
  GgufArray,
  GgufArrays,
  GgufElementType,
  GgufScalar,
  GgufScalars,
  GgufScalarType,
  GgufValue,
  GgufValueType,
} from './value.ts';
export { encodeGguf, writeGguf } from './write-gguf.ts';
