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
export { lowRankDelta, type LowRankPair } from './delta.ts';
export { eachRowOfChange, hostPair, hostValues, transposedMatrix, type HostPair } from './host-pair.ts';
export { startLowRank, type LowRankStart } from './init.ts';
export { fromPeftConfig, peftPairNames, toPeftConfig } from './peft-config.ts';
