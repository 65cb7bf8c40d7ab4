import { lora } from '@lowrank/adapter-lora';
import { writeAdapterGguf } from '@lowrank/models';
import { cpuEngines, defineDrift, otherBackends } from './drift.ts';
import { lowRank } from '../support/fifty-steps.ts';

defineDrift(
  {
    name: 'LoRA',
    configured: lora(lowRank),
    write: (path, { model }, adapter) => writeAdapterGguf(path, model, adapter),
  },
  [...cpuEngines, ...otherBackends],
);
