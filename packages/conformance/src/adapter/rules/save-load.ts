import type { HostState } from '@lowrank/core';
import { sameBits } from '../../backend/operands.ts';
import { demand } from '../../conformance-error.ts';
import { demandEqual, titleOf } from '../judge.ts';
import { seed, withRig, type Trial } from '../rig.ts';
import { stirredStates } from '../stirred.ts';
import type { AdapterRule } from './rule.ts';

const leading = [5];

/** What was saved comes back with the same bits, whatever the adapter held before. */
export const savesAndLoads: AdapterRule = {
  name: 'saving and loading keep every bit',
  async run(trial) {
    const stirred = await stirredStates(trial);
    const [saved, output] = await withRig(trial, { states: stirred }, async (rig) => [await rig.adapter.hostStates(), await rig.output(leading)] as const);
    await withRig(trial, { seed: seed + 1, states: saved }, async (rig) => {
      demandSameStates(trial, await rig.adapter.hostStates(), saved);
      if (trial.backend.supports.deterministic) demandEqual(trial, 'output after loading', await rig.output(leading), output);
    });
    demandSameStates(trial, saved, stirred);
  },
};

function demandSameStates(trial: Trial, got: ReadonlyMap<string, HostState>, expected: ReadonlyMap<string, HostState>): void {
  for (const [path, { params, buffers }] of expected) {
    const found = got.get(path);
    demand(found !== undefined, titleOf(trial, `nothing was saved for ${path}`));
    for (const [name, array] of [...Object.entries(params), ...Object.entries(buffers)]) {
      const other = found.params[name] ?? found.buffers[name];
      demand(other?.shape.join() === array.shape.join() && sameBits(Float64Array.from(other.data), Float64Array.from(array.data)), titleOf(trial, `${path}.${name} came back with other bits`));
    }
  }
}
