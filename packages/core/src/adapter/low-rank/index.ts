export {
  combinePairs,
  parseCombineOptions,
  type CombineMethod,
  type CombineOptions,
  type CombineSettings,
  type WeightedPair,
} from './combine.ts';
export {
  joinLowRankConfigs,
  lowRankAt,
  lowRankScale,
  parseLowRankConfig,
  recommendedLowRank,
  type LowRankConfig,
  type LowRankInit,
  type LowRankOptions,
  type ModelOption,
} from './config.ts';
export { addLowRank, lowRankDelta, type LowRankPair } from './delta.ts';
export { eachRowOfChange, hostPair, hostValues, transposedMatrix, type HostPair } from './host-pair.ts';
export { loftqStart, type Quantize } from './from-weight.ts';
export { setUpLowRank, startLowRank, type LowRankStart, type LowRankTensors } from './init.ts';
export { baseUnder, pairOnOriginal, stateOnOriginal, type ExportedPair } from './on-original.ts';
export { fromPeftConfig, peftPairNames, toPeftConfig } from './peft-config.ts';
