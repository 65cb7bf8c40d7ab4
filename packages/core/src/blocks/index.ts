export type { BlockCodec, BlockEncoder, InlineBlockFormat } from './block-codec.ts';
export { blockFormats, isInlineBlockFormat } from './block-formats.ts';
export { decodeArray, decodeRows } from './decode.ts';
export { encodeArray } from './encode.ts';
export type { EncodableFormat } from './encode.ts';
export { byteLengthOf, checkHostArray, rowLayout } from './layout.ts';
export type { RowLayout } from './layout.ts';
