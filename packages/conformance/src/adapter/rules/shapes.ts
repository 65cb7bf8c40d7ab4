import type { HostState } from '@lowrank/core';
import { demand } from '../../conformance-error.ts';
import { demandClose, expectedOf, titleOf, tracker, type Expected } from '../judge.ts';
import { disposeStep, readStep, step, withRig, type Step, type Trial } from '../rig.ts';
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

/** Leading axes are rows: how they are cut changes nothing but the order of sums, in either direction. */
export const takesAnyRank: AdapterRule = {
  name: 'takes inputs of any rank, and of no rows',
  async run(trial) {
    const states = await stirredStates(trial);
    await withRig(trial, { states }, async (rig) => {
      for (const [leading, rows] of cuts) {
        const found = step(rig, { leading });
        demandShape(trial, leading, found);
        const got = await readStep(found);
        const expected = await expectedRows(trial, states, leading, rows);
        for (const [what, values] of got) {
          demandClose(trial, `${what} for leading axes [${leading.join(', ')}]`, values, expected.get(what)!);
        }
      }
      const none = step(rig, { leading: [0] });
      demandShape(trial, [0], none);
      for (const [what, values] of await readStep(none)) {
        const nothing = values.every((value: number) => value === 0);
        demand(nothing, titleOf(trial, `${what} of no rows is not zero`));
      }
    });
  },
};

function demandShape(trial: Trial, leading: readonly number[], found: Step): void {
  const { shape } = found.get('y')!;
  const right = shape.join() === [...leading, trial.row.outFeatures].join();
  demand(right, titleOf(trial, `leading axes [${leading.join(', ')}] give [${shape.join(', ')}]`));
}

/** The numbers of plain rows, and the bounds of both ways added. */
async function expectedRows(
  trial: Trial,
  states: ReadonlyMap<string, HostState>,
  leading: readonly number[],
  rows: readonly number[],
): Promise<Map<string, Expected>> {
  const rounding = tracker(trial);
  return withRig({ ...trial, backend: rounding }, { states }, async (rig) => {
    const [cut, plain] = [step(rig, { leading }), step(rig, { leading: rows })];
    const expected = new Map<string, Expected>();
    for (const [what, result] of plain) {
      const [one, other] = [
        await expectedOf(trial, rounding, result),
        await expectedOf(trial, rounding, cut.get(what)!),
      ];
      const tolerance = one.tolerance.map((error, i) => error + other.tolerance[i]!);
      expected.set(what, { value: one.value, tolerance });
    }
    for (const found of [cut, plain]) disposeStep(found);
    return expected;
  });
}
