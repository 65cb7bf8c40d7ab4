import { cpu } from '@lowrank/backend-cpu';
import { adapterConformance, adapterSummary, reference } from '@lowrank/conformance';
import { describe, it } from 'vitest';
import { houlsbyAdapter } from './houlsby.ts';
import { lokrAdapter } from './lokr.ts';
import { veraAdapter } from './vera.ts';

const runner = { describe, it };
const common = {
  backends: { reference: async () => reference(), cpu: () => cpu({ threads: 2 }) },
  onReport: (report: Parameters<typeof adapterSummary>[0]) => console.log(adapterSummary(report)),
};

adapterConformance(runner, {
  ...common,
  adapter: veraAdapter,
  kinds: ['linear'],
  configs: {
    'rank 16': { config: { rank: 16 } },
    'rank 3, dropout, another projection': { config: { rank: 3, dropout: 0.25, projectionSeed: 7, dInitial: 1 } },
  },
  badConfigs: [
    [{ rank: 0 }, 'rank'],
    [{ dropout: 1 }, 'dropout'],
    [{ dInitial: NaN }, 'dInitial'],
    [{ projectionSeed: -1 }, 'projectionSeed'],
  ],
});

adapterConformance(runner, {
  ...common,
  adapter: houlsbyAdapter,
  configs: { 'size 5': { config: { size: 5 } } },
  badConfigs: [[{ size: 0.5 }, 'size']],
});

adapterConformance(runner, {
  ...common,
  adapter: lokrAdapter,
  kinds: ['linear'],
  configs: {
    'rank 2, alpha 4': { config: { rank: 2, alpha: 4 } },
    'rank 5': { config: { rank: 5, targetModules: 'all-linear', excludeModules: ['down_proj'] } },
  },
  badConfigs: [
    [{ rank: '8' }, 'rank'],
    [{ alpha: 0 }, 'alpha'],
  ],
});
