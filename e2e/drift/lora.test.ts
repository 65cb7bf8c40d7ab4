import { lora } from '@lowrank/adapter-lora';
import { writeAdapterGguf } from '@lowrank/models';
import { cpuEngines, defineDrift, lowRank, otherBackends } from './drift.ts';

defineDrift(
  {
    name: 'LoRA',
    configured: lora(lowRank),
    write: (path, { model }, adapter) => writeAdapterGguf(path, model, adapter),
  },
  [...cpuEngines, ...otherBackends],
);
