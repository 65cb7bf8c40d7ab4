export { Adam, AdamW, type AdamOptions } from './adam.ts';
export { AdamW8bit, type AdamW8bitOptions } from './adamw8bit.ts';
export { clipGradients, clippingScale, gradientNorm, scaleGradients, type Clipping } from './clip.ts';
export { loraPlusGroups } from './lora-plus.ts';
export type { Optimizer, OptimizerOptions, OptimizerSettings, OptimizerState, ParameterGroup } from './optimizer.ts';
export { learningRateSchedule, type Schedule, type ScheduleOptions } from './schedules.ts';
export { Sgd, type SgdOptions } from './sgd.ts';
