export {
  batchesOf,
  shuffledOrder,
  stepsPerEpoch,
  type BatchOptions,
  type BatchSource,
  type DataCursor,
} from './batches.ts';
export { freeze, parameterCounts, trainableParameters, type ParameterCounts } from './counts.ts';
export type { CheckpointEvent, DoneEvent, EvalEvent, StepEvent, TrainEvent } from './events.ts';
export { evaluateLoss, type BatchLoss, type Evaluation, type LossFunction } from './loss.ts';
export { parseRunManifest, type Json, type RunManifest, type RunState, type RunStore } from './run-state.ts';
export { Trainer } from './trainer.ts';
export type { TrainerOptions, TrainResult } from './trainer-options.ts';
