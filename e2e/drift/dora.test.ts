import { dora } from '@lowrank/adapter-dora';
import { writeMergedGguf } from '@lowrank/models';
import { cpuEngines, defineDrift } from './drift.ts';
import { lowRank } from '../support/fifty-steps.ts';

// TensorFlow.js in plain JavaScript takes minutes for it; LoRA's 50 steps and the adapters' suite judge it.
defineDrift(
  {
    name: 'DoRA',
    configured: dora(lowRank),
    write: (path, { file, model }, adapter) => writeMergedGguf(path, file, model, { adapter, type: 'f32' }),
  },
  [...cpuEngines, 'webgpu', 'tfjs:node', 'tfjs:wasm'],
);
