import { lora } from '@lowrank/adapter-lora';
import { qlora } from '@lowrank/adapter-qlora';
import { writeAdapterGguf } from '@lowrank/models';
import { cpuEngines, defineDrift } from './drift.ts';
import { lowRank } from '../support/fifty-steps.ts';

defineDrift(
  {
    name: 'QLoRA',
    configured: qlora({ adapter: lora(lowRank) }),
    write: (path, { model }, adapter) => writeAdapterGguf(path, model, adapter),
  },
  cpuEngines,
);
