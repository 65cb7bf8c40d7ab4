export { blockFormats, decodeRows, rowLayout } from '../../../core/src/blocks/index.ts';
