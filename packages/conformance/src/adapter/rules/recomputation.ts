import { checkpoint } from '@lowrank/core';
import { sameBits } from '../../backend/operands.ts';
import { demand } from '../../conformance-error.ts';
import { demandEqual, titleOf } from '../judge.ts';
import { readStep, step, trainingPass, withRig } from '../rig.ts';
import { stirredStates } from '../stirred.ts';
import type { AdapterRule } from './rule.ts';

/** Masks have names, so running forward again in backward (activation checkpointing) sees the same ones. */
export const recomputes: AdapterRule = {
  name: 'recomputed in backward, gives the same numbers; masks change with the step',
  excuse: ({ backend }) => (backend.supports.deterministic ? undefined : 'supports.deterministic is false'),
  async run(trial) {
    const states = await stirredStates(trial);
    await withRig(trial, { states }, async (rig) => {
      const parameters = Object.values(rig.slot.state.params);
      const kept = await readStep(step(rig));
      const again = await readStep(
        step(rig, { forward: (x) => checkpoint((input) => rig.layer.forward(input, trainingPass), x, { parameters }) }),
      );
      for (const [what, values] of kept) demandEqual(trial, `${what}, recomputed`, again.get(what)!, values);
      const [inference, training, later] = [
        await rig.output([5]),
        kept.get('y')!,
        await rig.output([5], { ...trainingPass, step: 4 }),
      ];
      const random = !sameBits(inference, training);
      demand(
        !random || trial.row.inFeatures < 13 || !sameBits(training, later),
        titleOf(trial, 'two steps have the same mask'),
      );
    });
  },
};
