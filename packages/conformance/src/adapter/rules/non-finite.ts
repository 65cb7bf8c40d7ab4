import { scope, tensor, type Tensor, type TypedArray } from '@lowrank/core';
import { uniform } from '../../backend/inputs.ts';
import { demand } from '../../conformance-error.ts';
import { reference } from '../../reference/reference.ts';
import { demandEqual, titleOf } from '../judge.ts';
import { withRig, type Rig, type Trial } from '../rig.ts';
import { stirredStates } from '../stirred.ts';
import type { AdapterRule } from './rule.ts';

const rows = 4;
const values = [NaN, Infinity, -Infinity];

/** A run gone wrong shows: what is not finite goes where IEEE 754 sends it in float64, and nowhere else. */
export const carriesNonFinite: AdapterRule = {
  name: 'carries NaN and infinities, and no further than their rows',
  excuse: ({ backend, row }) => {
    if (!backend.supports.nonFinite) return 'supports.nonFinite is false';
    return row.kind === 'embedding' ? 'token ids are finite' : undefined;
  },
  async run(trial) {
    const states = await stirredStates(trial);
    const judge: Trial = { ...trial, backend: await reference() };
    await withRig(trial, { states }, async (rig) => {
      await withRig(judge, { states }, async (other) => {
        const clean = await deltaOf(rig, undefined);
        for (const value of values) {
          const [got, expected] = [await deltaOf(rig, value), await deltaOf(other, value)];
          demandSameKind(trial, `delta with ${value} in row 1 of x`, got, expected);
          const { outFeatures } = trial.row;
          const others = (numbers: TypedArray): TypedArray =>
            numbers.filter((_: number, i: number) => Math.floor(i / outFeatures) !== 1);
          demandEqual(trial, `other rows' delta with ${value} in row 1 of x`, others(got), others(clean));
          if (Number.isNaN(value)) {
            demand(
              got.slice(outFeatures, 2 * outFeatures).every((number: number) => Number.isNaN(number)),
              titleOf(trial, 'NaN in a row of x does not show in all of its delta'),
            );
          }
        }
      });
    });
    for (const [path, state] of states) {
      for (const name of Object.keys(state.params)) {
        const array = state.params[name]!;
        const broken = Float32Array.from(array.data).fill(NaN, 0, 1);
        const params = { ...state.params, [name]: { ...array, data: broken } };
        await withRig(trial, { states: new Map([[path, { ...state, params }]]) }, async (rig) => {
          demand(
            (await rig.output([rows])).some((number: number) => Number.isNaN(number)),
            titleOf(trial, `NaN in ${name} does not show in the output`),
          );
        });
      }
    }
  },
};

async function deltaOf(rig: Rig, value: number | undefined): Promise<TypedArray> {
  const { row } = rig.trial;
  const numbers = uniform(`${row.name}/finite`, rows * row.inFeatures);
  if (value !== undefined) numbers[row.inFeatures + Math.floor(row.inFeatures / 2)] = value;
  const x: Tensor = tensor(rig.backend, numbers, [rows, row.inFeatures]);
  const { layer, slot } = rig;
  const delta = scope(() => {
    slot.active = false;
    const y0 = layer.forward(x);
    slot.active = true;
    return slot.delta(x, y0, layer.frozenLayer(slot.site), { training: false, seed: 0, step: 0 });
  });
  const found = await delta.data();
  for (const used of [x, delta]) used.dispose();
  return found;
}

/** NaN where NaN, the same infinity where infinite, finite where finite. */
function demandSameKind(trial: Trial, what: string, got: TypedArray, expected: TypedArray): void {
  const kind = (value: number): number => (Number.isFinite(value) ? 0 : value);
  const wrong = got.findIndex((value: number, i: number) => !Object.is(kind(value), kind(expected[i]!)));
  demand(wrong < 0, titleOf(trial, `${what}: element ${wrong} is ${got[wrong]}, in float64 ${expected[wrong]}`));
}
