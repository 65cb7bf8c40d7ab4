export { dataFingerprint } from './data-fingerprint.ts';
export { FileRunStore, type FileRunStoreOptions } from './file-run-store.ts';
export { optimizerNames, type OptimizerName } from './make-optimizer.ts';
export { fullFineTuning, headOnly } from './recipes.ts';
export {
  evaluationSource,
  fineTune,
  lossOf,
  type FineTuneOptions,
  type FineTuneResult,
  type FineTuneSettings,
} from './fine-tune.ts';
