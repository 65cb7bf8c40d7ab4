export { bytesSource } from './byte-source.ts';
export type { ByteSource } from './byte-source.ts';
export { fileSource } from './file-source.ts';
export { GgufError } from './gguf-error.ts';
export type { GgufErrorCode } from './gguf-error.ts';
export { GgufFile, openGguf } from './gguf-file.ts';
export { GgufMetadata } from './metadata.ts';
export type { GgufTensorInfo } from './read-header.ts';
export type { GgufArray, GgufArrays, GgufElementType, GgufScalar, GgufScalars, GgufScalarType, GgufValue, GgufValueType } from './value.ts';
