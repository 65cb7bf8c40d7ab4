import { CoreError, type HostState } from '@lowrank/core';
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
    const [saved, output] = await withRig(
      trial,
      { states: stirred },
      async (rig) => [await rig.adapter.hostStates(), await rig.output(leading)] as const,
    );
    await withRig(trial, { seed: seed + 1, states: saved }, async (rig) => {
      demandSameStates(trial, await rig.adapter.hostStates(), saved);
      if (trial.backend.supports.deterministic) {
        demandEqual(trial, 'output after loading', await rig.output(leading), output);
      }
    });
    demandSameStates(trial, saved, stirred);
  },
};

function demandSameStates(
  trial: Trial,
  got: ReadonlyMap<string, HostState>,
  expected: ReadonlyMap<string, HostState>,
): void {
  for (const [path, { params, buffers }] of expected) {
    const found = got.get(path);
    demand(found !== undefined, titleOf(trial, `nothing was saved for ${path}`));
    for (const [name, array] of [...Object.entries(params), ...Object.entries(buffers)]) {
      const other = found.params[name] ?? found.buffers[name];
      demand(
        other?.shape.join() === array.shape.join() &&
          sameBits(Float64Array.from(other.data), Float64Array.from(array.data)),
        titleOf(trial, `${path}.${name} came back with other bits`),
      );
    }
  }
}

/** A wrong state is refused whole, naming what is wrong. */
export const refusesWrongStates: AdapterRule = {
  name: 'refuses tensors that are missing, too many or of another shape, and changes nothing then',
  async run(trial) {
    await withRig(trial, {}, async ({ adapter, slot }) => {
      const before = await adapter.hostStates();
      const { path } = slot.site;
      const { params, buffers } = before.get(path)!;
      const [name] = Object.keys(params);
      demand(name !== undefined, titleOf(trial, 'there is nothing to train'));
      const fewer = Object.fromEntries(Object.entries(params).filter(([other]) => other !== name));
      const longer = { format: 'f32', shape: [3, 1000], data: new Float32Array(3000).fill(1) } as const;
      const wrong = [fewer, { ...params, noSuchTensor: longer }, { ...params, [name]: longer }];
      for (const states of [
        ...wrong.map((some) => new Map([[path, { params: some, buffers }]])),
        new Map(),
        new Map([...before, ['elsewhere', { params, buffers }]]),
      ]) {
        demandStateRefused(trial, () => adapter.load(states as ReadonlyMap<string, HostState>));
      }
      demandSameStates(trial, await adapter.hostStates(), before);
    });
  },
};

function demandStateRefused(trial: Trial, load: () => void): void {
  let thrown: unknown;
  try {
    load();
  } catch (error) {
    thrown = error;
  }
  demand(
    thrown instanceof CoreError && thrown.code === 'CORE_STATE',
    titleOf(trial, 'a state that does not fit is not refused with CORE_STATE'),
    thrown,
  );
}
