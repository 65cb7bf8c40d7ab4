import { demand } from '../../conformance-error.ts';
import { demandClose, expectedOf, titleOf, tracker } from '../judge.ts';
import { disposeStep, readStep, step, withRig } from '../rig.ts';
import { stirredStates } from '../stirred.ts';
import type { AdapterRule } from './rule.ts';

/**
 * Output and gradients, with dropout as the adapter has it, within the bound that running error analysis derives. A mask
 * that differed in one element would be far outside of it.
 */
export const agreesWithFloat64: AdapterRule = {
  name: 'output and gradients are those of float64, masks included',
  async run(trial) {
    const states = await stirredStates(trial);
    const got = await withRig(trial, { states }, async (rig) => readStep(step(rig)));
    const rounding = tracker(trial);
    await withRig({ ...trial, backend: rounding }, { states }, async (rig) => {
      const expected = step(rig);
      demand(
        [...expected.keys()].join() === [...got.keys()].join(),
        titleOf(
          trial,
          `gradients are ${[...got.keys()].join(', ')}; the reference has ${[...expected.keys()].join(', ')}`,
        ),
      );
      for (const [what, result] of expected) {
        demandClose(trial, what, got.get(what)!, await expectedOf(trial, rounding, result));
      }
      disposeStep(expected);
    });
  },
};

/** Every trained tensor gets a gradient, also where nothing flows on to the input. */
export const trainsEveryParameter: AdapterRule = {
  name: 'every parameter gets a gradient, of its own shape',
  async run(trial) {
    const states = await stirredStates(trial);
    await withRig(trial, { states }, async (rig) => {
      for (const inputGradient of [true, false]) {
        const found = step(rig, { inputGradient });
        for (const [name, param] of Object.entries(rig.slot.state.params)) {
          const gradient = found.get(`gradient toward ${name}`);
          demand(gradient !== undefined, titleOf(trial, `${name} got no gradient`));
          demand(
            gradient.shape.join() === param.shape.join(),
            titleOf(
              trial,
              `the gradient toward ${name} is [${gradient.shape.join()}], the parameter [${param.shape.join()}]`,
            ),
          );
        }
        disposeStep(found);
      }
    });
  },
};
