export { checkExportable, loadAdapterGguf, writeAdapterGguf } from './adapter-file.ts';
export { mergeTypes, writeMergedGguf, type MergeOptions, type MergeType } from './merge-gguf.ts';
