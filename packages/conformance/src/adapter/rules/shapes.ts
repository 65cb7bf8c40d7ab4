import { demand } from '../../conformance-error.ts';
import { demandClose, demandEqual, expectedOf, titleOf, tracker } from '../judge.ts';
import { disposeStep, readStep, step, withRig } from '../rig.ts';
import { stirredStates } from '../stirred.ts';
import type { AdapterRule } from './rule.ts';

/** Leading axes, and the one under which the same numbers lie as plain rows. */
const cuts: readonly (readonly [leading: readonly number[], rows: readonly number[]])[] = [
  [[], [1]],
  [[1], [1]],
  [[2, 3], [6]],
  [[3, 1, 2], [6]],
  [[1, 1, 1, 6], [6]],
];

/** Leading axes are rows: how they are cut changes nothing, in either direction. */
export const takesAnyRank: AdapterRule = {
  name: 'takes inputs of any rank, and of no rows',
  async run(trial) {
    const states = await stirredStates(trial);
    const rounding = tracker(trial);
    await withRig(trial, { states }, async (rig) => {
      for (const [leading, rows] of cuts) {
        const found = step(rig, { leading });
        demand(
          found.get('y')!.shape.join() === [...leading, trial.row.outFeatures].join(),
          titleOf(trial, `[${leading.join()}, in] gives [${found.get('y')!.shape.join()}]`),
        );
        const got = await readStep(found);
        if (trial.backend.supports.deterministic) {
          const plain = await readStep(step(rig, { leading: rows }));
          for (const [what, values] of got) {
            demandEqual(trial, `${what} for leading axes [${leading.join()}]`, values, plain.get(what)!);
          }
        } else {
          await withRig({ ...trial, backend: rounding }, { states }, async (other) => {
            const expected = step(other, { leading: rows });
            for (const [what, result] of expected) {
              demandClose(trial, what, got.get(what)!, await expectedOf(trial, rounding, result));
            }
            disposeStep(expected);
          });
        }
      }
      const none = step(rig, { leading: [0] });
      demand(
        none.get('y')!.shape.join() === [0, trial.row.outFeatures].join(),
        titleOf(trial, 'no rows do not give no rows'),
      );
      for (const [what, values] of await readStep(none)) {
        demand(
          values.every((value: number) => value === 0),
          titleOf(trial, `${what} of no rows is not zero`),
        );
      }
    });
  },
};
