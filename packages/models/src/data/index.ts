export { IGNORED_TARGET, makeBatch } from './batch.ts';
export type { Batch } from './batch.ts';
export { readJsonLines } from './read-json-lines.ts';
export type { NumberedRecord } from './read-json-lines.ts';
export type { ChatRecord, CompletionRecord, DataRecord, TextRecord } from './record.ts';
export { tokenizeExample } from './tokenize-example.ts';
export type { TokenizeOptions } from './tokenize-example.ts';
export { tokenizeRecords } from './tokenize-records.ts';
export type { TokenizedRecords, TokenizeRecordsOptions } from './tokenize-records.ts';
