export { tokenizerFromGguf } from './from-gguf.ts';
export type { DecodeOptions, EncodeOptions, StreamDecoder, Tokenizer } from './tokenizer.ts';
