import { agreesWithFloat64, trainsEveryParameter } from './against-reference.ts';
import { gradientsAreDerivatives } from './central-differences.ts';
import { adaptersAddUp, ejectIsExact, outputIsTheSum, stepsLeaveNothing } from './eject.ts';
import { ggufPairIsTheChange, peftFormIsWhole } from './files.ts';
import { baseIsFree, baseIsUntouched } from './frozen-base.ts';
import { liveIsMerged, unmergeIsExact } from './merge.ts';
import { carriesNonFinite } from './non-finite.ts';
import { keepsToPatterns } from './patterns.ts';
import { recomputes } from './recomputation.ts';
import type { AdapterRule } from './rule.ts';
import { refusesWrongStates, savesAndLoads } from './save-load.ts';
import { takesAnyRank } from './shapes.ts';
import { switchesOff, trainsBeside } from './switched-off.ts';
import { startsAtBase, startsTheSameEverywhere } from './start.ts';

/** Everything an adapter must keep, in the order in which a failure says most. */
export const adapterRules: readonly AdapterRule[] = [
  startsTheSameEverywhere,
  startsAtBase,
  gradientsAreDerivatives,
  agreesWithFloat64,
  trainsEveryParameter,
  takesAnyRank,
  recomputes,
  baseIsUntouched,
  baseIsFree,
  stepsLeaveNothing,
  liveIsMerged,
  unmergeIsExact,
  savesAndLoads,
  refusesWrongStates,
  ggufPairIsTheChange,
  peftFormIsWhole,
  outputIsTheSum,
  adaptersAddUp,
  switchesOff,
  ejectIsExact,
  trainsBeside,
  keepsToPatterns,
  carriesNonFinite,
];
