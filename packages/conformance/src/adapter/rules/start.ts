import { scope, type TypedArray } from '@lowrank/core';
import { sameBits } from '../../backend/operands.ts';
import { reference } from '../../reference/reference.ts';
import { roundingBackend, type RoundingBackend } from '../../rounding/rounding-backend.ts';
import { ConformanceError } from '../../conformance-error.ts';
import { demandEqual, titleOf } from '../judge.ts';
import { baseOutput, seed, trainingPass, withRig, type Trial } from '../rig.ts';
import { buildLayer, inputOf, type TestLayer } from '../test-layers.ts';
import type { AdapterRule } from './rule.ts';

const leading = [2, 3];

/** An adapter that starts without effect does not change a number, in inference or training. */
export const startsAtBase: AdapterRule = {
  name: 'equals the base at init',
  excuse: (_trial, start) => (start === 'different' ? 'the configuration starts elsewhere' : undefined),
  async run(trial, start) {
    const base = await baseOutput(trial, leading);
    await withRig(trial, {}, async (rig) => {
      for (const pass of [undefined, trainingPass]) {
        const y = await rig.output(leading, pass);
        if (start === 'exact') demandEqual(trial, 'the output at init', y, base);
        else demandWithin(trial, y, base, await startTolerance(trial));
      }
    });
  },
};

/** Initial weights are named by seed, type and path alone; or by the layer's weight, by adapters that bring a base of their own. */
export const startsTheSameEverywhere: AdapterRule = {
  name: 'starts from the same bits on every backend, and from others with another seed',
  async run(trial) {
    const here = await initialBits(trial, seed);
    const there = await initialBits({ ...trial, backend: await reference() }, seed);
    const other = await initialBits(trial, seed + 1);
    const ofWeight = await withRig(trial, {}, ({ slot }) => Promise.resolve(slot.state.base !== undefined));
    for (const [name, values] of here) demandEqual(trial, `initial ${name}`, values, there.get(name)!);
    const random = [...here].some(([name, values]) => !sameBits(values, other.get(name)!));
    const constant = [...here.values()].every((values) => values.every((value: number) => value === values[0]));
    if (!random && !constant && !ofWeight) {
      throw new ConformanceError('CONFORMANCE_CONTRACT', titleOf(trial, 'initial weights do not depend on the seed'));
    }
  },
};

async function initialBits(trial: Trial, from: number): Promise<Map<string, TypedArray>> {
  return withRig(trial, { seed: from }, async ({ slot }) => {
    const bits = new Map<string, TypedArray>();
    for (const [name, param] of Object.entries(slot.state.params)) {
      bits.set(name, Float32Array.from(await param.data()));
    }
    return bits;
  });
}

/**
 * The exact weights, before they were rounded to f32, have no effect. The rounded ones are off by 2^-24 relative each:
 * what running error analysis makes of that, once for the rounded weights' effect and once for its evaluation. Where products
 * round their operands, those of the base's own are others.
 */
async function startTolerance(trial: Trial): Promise<Float64Array> {
  const { productOperands } = trial.backend.supports;
  const rounding = roundingBackend(2 ** -24, productOperands);
  return withRig({ ...trial, backend: rounding }, {}, async (rig) => {
    const { params, buffers, base } = rig.slot.state;
    for (const used of [...Object.values(params), ...Object.values(buffers)]) rounding.loosen(used.storage, 2 ** -24);
    const x = inputOf(rounding, trial.row, leading);
    const y = scope(() => rig.layer.forward(x));
    const ofBase = base === undefined ? undefined : baseTolerance(await base.values(), await x.data(), trial.row);
    const ofProducts = productOperands === undefined ? undefined : bareErrors(rounding, trial.row);
    return rounding.errorOf(y.storage).map((error, i) => 2 * error + (ofBase?.[i] ?? 0) + (ofProducts?.[i] ?? 0));
  });
}

/** How far the bare layer's output may be from float64. */
function bareErrors(rounding: RoundingBackend, row: TestLayer): Float64Array {
  const layer = buildLayer(rounding, row);
  const y = scope(() => layer.forward(inputOf(rounding, row, leading)));
  const errors = rounding.errorOf(y.storage);
  y.dispose();
  layer.dispose();
  return errors;
}

/**
 * What rounding a base of the adapter's own to f32, 2^-24 relative in each element, does to x W^T: sum |x| |W| 2^-24. Twice that,
 * for an adapter that divides by norms of the weight: they move by as much.
 */
function baseTolerance(base: Float32Array, x: TypedArray, { inFeatures, outFeatures }: TestLayer): Float64Array {
  const rows = x.length / inFeatures;
  const tolerance = new Float64Array(rows * outFeatures);
  for (let at = 0; at < tolerance.length; at++) {
    const [row, o] = [Math.floor(at / outFeatures), at % outFeatures];
    for (let i = 0; i < inFeatures; i++) {
      tolerance[at]! += 2 ** -23 * Math.abs(x[row * inFeatures + i]! * base[o * inFeatures + i]!);
    }
  }
  return tolerance;
}

function demandWithin(trial: Trial, got: TypedArray, expected: TypedArray, tolerance: Float64Array): void {
  const wrong = got.findIndex((value: number, i: number) => !(Math.abs(value - expected[i]!) <= tolerance[i]!));
  if (wrong < 0) return;
  const message = titleOf(
    trial,
    `the output at init: element ${wrong} is ${got[wrong]}, must be ${expected[wrong]} within ${tolerance[wrong]}`,
  );
  throw new ConformanceError('CONFORMANCE_MISMATCH', message, got[wrong]);
}
