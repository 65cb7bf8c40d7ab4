import { inject, Linear, Module, tensor, keep } from '@lowrank/core';
import { demand } from '../../conformance-error.ts';
import { uniform } from '../../backend/inputs.ts';
import { demandEqual, titleOf } from '../judge.ts';
import { baseOutput, withRig, type Trial } from '../rig.ts';
import { stirredStates } from '../stirred.ts';
import { buildLayer } from '../test-layers.ts';
import type { AdapterRule } from './rule.ts';

const leading = [5];

/** Off, the layer is the base, also where the adapter had replaced its weight; on, it is as before. */
export const switchesOff: AdapterRule = {
  name: 'switched off, the layer gives its own numbers, and on again those from before',
  async run(trial) {
    const states = await stirredStates(trial);
    const base = await baseOutput(trial, leading);
    await withRig(trial, { states }, async (rig) => {
      const live = await rig.output(leading);
      for (let round = 0; round < 2; round++) {
        rig.adapter.setActive(false);
        demandEqual(trial, 'output while switched off', await rig.output(leading), base);
        rig.adapter.setActive(true);
        demandEqual(trial, 'output after it was switched on again', await rig.output(leading), live);
      }
    });
  },
};

/** The layer, and another one that is trained whole. */
class Pair extends Module {
  constructor({ backend, row }: Trial) {
    super();
    this.child('conformance', buildLayer(backend, row));
    const weight = keep(tensor(backend, uniform('beside/weight', 6), [2, 3]));
    this.child('beside', new Linear(weight, keep(tensor(backend, uniform('beside/bias', 2), [2]))));
  }
}

/** Modules to save are core's business; an adapter must not mind them. */
export const trainsBeside: AdapterRule = {
  name: 'goes with modules that are trained whole: saved, loaded and taken off together',
  async run(trial) {
    const { backend, configured } = trial;
    const config = {
      ...configured.config,
      targetModules: ['conformance'],
      excludeModules: [],
      layersToTransform: [],
      layersPattern: [],
      modulesToSave: ['beside'],
    };
    const model = new Pair(trial);
    const weights = [...model.allWeights()].map(([, weight]) => weight);
    const { liveBytes } = backend.memory();
    const adapter = await inject(model, { adapter: configured.adapter, config });
    const names = [...adapter.parameters().keys()];
    for (const name of ['beside.weight', 'beside.bias']) {
      demand(names.includes(name), titleOf(trial, `${name} is not trained; there are ${names.join(', ')}`));
    }
    const states = await adapter.hostStates();
    demandEqual(trial, 'the saved copy', states.get('beside')!.params['weight']!.data, uniform('beside/weight', 6));
    adapter.load(states);
    adapter.eject();
    const after = [...model.allWeights()].map(([, weight]) => weight);
    demand(
      weights.every((weight, i) => weight === after[i]),
      titleOf(trial, 'ejecting left other weights than the model had'),
    );
    demand(backend.memory().liveBytes === liveBytes, titleOf(trial, 'ejecting left bytes behind'));
    model.dispose();
  },
};
