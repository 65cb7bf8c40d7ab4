import { adapterConformance, adapterSummary } from '@lowrank/conformance';
import { describe, it } from 'vitest';
import { loraAdapter } from '@lowrank/adapter-lora';

adapterConformance(
  { describe, it },
  {
    adapter: loraAdapter,
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
      [{ rank: 1.5 }, 'rank'],
      [{ rank: '8' }, 'rank'],
      [{ rank: NaN }, 'rank'],
      [{ rank: 1e9 }, 'rank'],
      [{ alpha: 0 }, 'alpha'],
      [{ alpha: -1 }, 'alpha'],
      [{ alpha: Infinity }, 'alpha'],
      [{ alpha: 1e-60 }, 'alpha'],
      [{ alpha: 1e60 }, 'alpha'],
      [{ dropout: 1 }, 'dropout'],
      [{ dropout: -0.1 }, 'dropout'],
      [{ dropout: NaN }, 'dropout'],
      [{ useRslora: 1 }, 'useRslora'],
      [{ init: 'loftq' }, 'init'],
      [{ init: 'orthogonal', rank: 3 }, 'rank'],
      [{ targetModules: '' }, 'targetModules'],
      [{ targetModules: '(' }, 'targetModules'],
      [{ targetModules: ['q_proj', ''] }, 'targetModules[1]'],
      [{ excludeModules: [7] }, 'excludeModules[0]'],
      [{ lora_alpha: 16 }, 'lora_alpha'],
      [{ r: 8 }, 'r'],
    ],
    onReport: (report) => console.log(adapterSummary(report)),
  },
);
