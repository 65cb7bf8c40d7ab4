import { dora } from '@lowrank/adapter-dora';
import { qlora } from '@lowrank/adapter-qlora';
import { writeMergedGguf } from '@lowrank/models';
import { cpuEngines, defineDrift } from './drift.ts';
import { lowRank } from '../support/fifty-steps.ts';

defineDrift(
  {
    name: 'QDoRA',
    configured: qlora({ adapter: dora(lowRank) }),
    write: (path, { file, model }, adapter) => writeMergedGguf(path, file, model, { adapter, type: 'f32' }),
  },
  [...cpuEngines, 'webgpu', 'tfjs:node', 'tfjs:wasm'],
);
