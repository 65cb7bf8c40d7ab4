import { adapterConformance, adapterSummary } from '@lowrank/conformance';
import { describe, it } from 'vitest';
import { doraAdapter } from '@lowrank/adapter-dora';

adapterConformance(
  { describe, it },
  {
    adapter: doraAdapter,
    configs: {
      'rank 8, alpha 16': { config: { alpha: 16 } },
      'rank 1, alpha 3': { config: { rank: 1, alpha: 3 } },
      'rank 6, rsLoRA, gaussian, dropout': {
        config: {
          rank: 6,
          alpha: 12,
          useRslora: true,
          dropout: 0.25,
          init: 'gaussian',
          targetModules: 'all-linear',
          excludeModules: ['down_proj'],
        },
      },
      'rank 4, orthogonal': { config: { rank: 4, init: 'orthogonal' }, start: 'rounded' },
      'rank 3 by pattern, PiSSA': {
        config: { rank: 64, alpha: 64, rankPattern: { '.*': 3 }, alphaPattern: { nowhere: 1, '.*': 5 }, init: 'pissa' },
        start: 'rounded',
      },
      'rank 2, rsLoRA, OLoRA': {
        config: { rank: 2, alpha: 1, init: 'olora', useRslora: true },
        start: 'rounded',
      },
    },
    badConfigs: [
      [{ rank: 0 }, 'rank'],
      [{ rank: '8' }, 'rank'],
      [{ alpha: NaN }, 'alpha'],
      [{ dropout: 1 }, 'dropout'],
      [{ useDora: true }, 'useDora'],
      [{ init: 'orthogonal', rank: 3 }, 'rank'],
      [{ targetModules: ['q_proj', ''] }, 'targetModules[1]'],
    ],
    onReport: (report) => console.log(adapterSummary(report)),
  },
);
