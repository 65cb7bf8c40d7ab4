/** The published suite over the engines that run in Node: kernels against float64, operations and gradients, the rules. */
import { backendConformance } from '@lowrank/conformance';
import { keepReport } from '@lowrank/conformance/node';
import { describe, it } from 'vitest';
import { engines, start } from './engines.ts';

describe.each(engines)('%s', (engine) => {
  backendConformance({ describe, it }, () => start(engine), { onReport: keepReport(`tfjs:${engine}`) });
});
