import { FrozenWeight, Linear, Embedding, scope, tensor, type HostArray, type Tensor } from '@lowrank/core';
import { sameBits } from '../../backend/operands.ts';
import { demand } from '../../conformance-error.ts';
import { demandClose, demandEqual, expectedOf, titleOf, tracker, type Expected } from '../judge.ts';
import { withRig, type Rig, type Trial } from '../rig.ts';
import { stirredStates } from '../stirred.ts';
import { biasOf, inputOf } from '../test-layers.ts';
import type { AdapterRule } from './rule.ts';

const leading = [5];

function cannotMerge({ configured }: Trial): string | undefined {
  return configured.adapter.merge === undefined ? 'the adapter has no merge' : undefined;
}

/** One weight gives what base and adapter give together: both ways are within the bounds of float64, and so of each other. */
export const liveIsMerged: AdapterRule = {
  name: 'live and merged give the same output',
  excuse: cannotMerge,
  async run(trial) {
    const states = await stirredStates(trial);
    const [live, merged] = await withRig(trial, { states }, async (rig) => {
      const before = await rig.output(leading);
      await rig.adapter.merge();
      return [before, await rig.output(leading)];
    });
    const rounding = tracker(trial);
    await withRig({ ...trial, backend: rounding }, { states }, async (rig) => {
      const x = inputOf(rounding, trial.row, leading);
      const expected = await expectedOf(
        trial,
        rounding,
        scope(() => rig.layer.forward(x)),
      );
      const other = await expectedOf(
        trial,
        rounding,
        await mergedOutput(rig, x, (weight) => rounding.loosen(weight.storage, 1.01 * 2 ** -24)),
      );
      demandClose(trial, 'live output', live, expected);
      demandClose(trial, 'merged output', merged, both(expected, other));
    });
  },
};

/** The bounds of both ways added, around the live value. */
function both(live: Expected, merged: Expected): Expected {
  return { value: live.value, tolerance: live.tolerance.map((error, i) => error + merged.tolerance[i]!) };
}

/** x through the merged weight, which is f32 on every backend: rounded once (`loosen`). */
async function mergedOutput(rig: Rig, x: Tensor, loosen: (weight: Tensor) => void): Promise<Tensor> {
  const { backend, adapter, slot, trial } = rig;
  const merged = await adapter.mergedWeight(slot.site.path);
  const weight = tensor(backend, await merged.values(), merged.shape);
  loosen(weight);
  const bias = biasOf(trial.row);
  const layer =
    trial.row.kind === 'embedding'
      ? new Embedding(weight)
      : new Linear(weight, bias && tensor(backend, bias, [bias.length]));
  return layer.forward(x);
}

/** `unmerge` and `eject` bring back the weight that was kept, not one computed back. */
export const unmergeIsExact: AdapterRule = {
  name: 'unmerging and ejecting restore the base bit for bit',
  excuse: cannotMerge,
  async run(trial) {
    const states = await stirredStates(trial);
    await withRig(trial, { states }, async (rig) => {
      const { layer, adapter } = rig;
      const [weight, live] = [await hostOf(rig), await rig.output(leading)];
      for (let round = 0; round < 2; round++) {
        await adapter.merge();
        demand(
          adapter.merged && layer.weight.shape.join() === weight.shape.join(),
          titleOf(trial, 'the merged weight has another shape'),
        );
        adapter.unmerge();
        demand(sameHost(await hostOf(rig), weight), titleOf(trial, 'unmerge did not restore the weight'));
        demandEqual(trial, 'output after unmerge', await rig.output(leading), live);
      }
    });
  },
};

async function hostOf({ layer }: Rig): Promise<HostArray> {
  demand(layer.weight instanceof FrozenWeight, 'the test layer has a frozen weight');
  return layer.weight.host();
}

function sameHost(a: HostArray, b: HostArray): boolean {
  return a.format === b.format && a.shape.join() === b.shape.join() && sameBits(a.data, b.data);
}
