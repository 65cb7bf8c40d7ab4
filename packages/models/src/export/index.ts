export { checkExportable, loadAdapterGguf, writeAdapterGguf } from './adapter-file.ts';
export type { WeightedAdapter } from './changes.ts';
export { folderTypes, writeMergedFolder } from './merge-folder.ts';
export { writeMergedGguf } from './merge-gguf.ts';
export { mergeTypes, type MergeOptions, type MergeType } from './merge-options.ts';
