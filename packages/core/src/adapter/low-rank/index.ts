export {
  lowRankScale,
  parseLowRankConfig,
  type LowRankConfig,
  type LowRankInit,
  type LowRankOptions,
} from './config.ts';
export { lowRankDelta, type LowRankPair } from './delta.ts';
export { eachRowOfChange, hostPair, hostValues, transposedMatrix, type HostPair } from './host-pair.ts';
export { startLowRank, type LowRankStart } from './init.ts';
export { fromPeftConfig, peftPairNames, toPeftConfig } from './peft-config.ts';
