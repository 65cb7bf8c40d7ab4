import { backward, keep, scope, tensor, type Tensor } from '@lowrank/core';
import { centralDifferences } from '../../backend/central-differences.ts';
import { float64 } from '../../backend/operands.ts';
import { demandClose } from '../judge.ts';
import { outputGradient, trainingPass, withRig, type Rig } from '../rig.ts';
import { stirredStates } from '../stirred.ts';
import { inputOf } from '../test-layers.ts';
import type { AdapterRule } from './rule.ts';

const leading = [3];
/** Differences cost six passes for each number: small layers say as much as large ones. */
const most = 200;

/**
 * Every gradient against central differences of the live layer, in float64. What the adapter keeps in `memo` is a constant
 * of its gradient by the interface (DoRA's norm), so it is kept while parameters are moved.
 */
export const gradientsAreDerivatives: AdapterRule = {
  name: 'gradients are the derivatives, by central differences in float64',
  excuse: ({ backend, row }) => {
    if (backend.supports.precision !== 'f64') return 'supports.precision is f32: judged against float64 instead';
    return row.inFeatures * row.outFeatures > most ? 'the layer is large' : undefined;
  },
  async run(trial) {
    const states = await stirredStates(trial);
    await withRig(trial, { states }, async (rig) => {
      const x = inputOf(rig.backend, trial.row, leading);
      const toward: [string, Tensor][] = Object.entries(rig.slot.state.params);
      if (trial.row.kind === 'linear') {
        x.requiresGrad = true;
        toward.push(['x', x]);
      }
      const weights = outputGradient(trial.row, leading[0]! * trial.row.outFeatures);
      runBackward(rig, x, weights);
      const values = await Promise.all(toward.map(async ([, of]) => float64(await of.data())));
      for (const [i, [name, of]] of toward.entries()) {
        const gradient = await of.grad!.data();
        const differences = await centralDifferences(values, i, (moved) => lossAt(rig, x, weights, of, moved[i]!));
        overwriteQuietly(of, values[i]!);
        // The gradient's own rounding in float64 is far below what differences can see.
        demandClose(trial, `gradient toward ${name}`, gradient, {
          value: differences.gradient,
          tolerance: differences.error,
        });
      }
      for (const [, of] of toward) of.grad = undefined;
      x.dispose();
    });
  },
};

function runBackward(rig: Rig, x: Tensor, weights: Float32Array): void {
  const y = scope(() => rig.layer.forward(x, trainingPass));
  const dy = tensor(rig.backend, weights, y.shape);
  backward(y, dy);
  for (const used of [y, dy]) used.dispose();
}

/** sum(weights * y) with the values of `of` replaced. */
async function lossAt(rig: Rig, x: Tensor, weights: Float32Array, of: Tensor, values: Float64Array): Promise<number> {
  overwriteQuietly(of, values);
  const y = keep(scope(() => rig.layer.forward(x, trainingPass)));
  const data = await y.data();
  y.dispose();
  return weights.reduce((loss, weight, i) => loss + weight * data[i]!, 0);
}

/** Writes values in place without saying so: what was kept in `memo` stays. */
function overwriteQuietly({ backend, storage, size }: Tensor, values: Float64Array): void {
  const source = backend.upload(values, 'f32');
  backend.kernels.writeSlice(storage, [size], source, [0], [size]);
  backend.free(source);
}
