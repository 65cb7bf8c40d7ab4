/** Ten training steps from PEFT's initial adapter, with its data order and settings, against PEFT's. */
import { join } from 'node:path';
import { doraAdapter } from '@lowrank/adapter-dora';
import { loraAdapter } from '@lowrank/adapter-lora';
import { cpu } from '@lowrank/backend-cpu';
import { reference } from '@lowrank/conformance';
import {
  AdamW,
  backward,
  clipGradients,
  learningRateSchedule,
  scaleGradients,
  scope,
  type Adapter,
  type Backend,
  type InjectedAdapter,
} from '@lowrank/core';
import {
  fineTune,
  loadAdapter,
  loadCausalLm,
  lossOf,
  makeBatch,
  openHfFolder,
  readAdapter,
  type CausalLm,
  type TrainedIds,
} from '@lowrank/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixtureJson, fixturePath, fixtureTensors, greatestDifference, under } from './support/fixtures.ts';

interface Step {
  readonly learningRate: number;
  readonly loss: number;
  readonly gradNorm: number;
}

const { settings, batches, runs } = fixtureJson('training') as {
  settings: { learningRate: number; warmup: number; weightDecay: number; maxGradNorm: number; epsilon: number };
  batches: { ids: number[]; labels: number[] }[][];
  runs: Record<string, { steps: Step[]; losses64: number[] }>;
};
const gradients = fixtureTensors('training');
const steps = 10;
const plugins = [loraAdapter, doraAdapter] as unknown as Adapter[];

const examples: readonly TrainedIds[] = batches.flat().map(({ ids, labels }) => ({
  ids: Int32Array.from(ids),
  trained: Uint8Array.from(labels, (label) => (label === -100 ? 0 : 1)),
}));

async function modelOn(backend: Backend): Promise<CausalLm> {
  await using folder = await openHfFolder(fixturePath('base'));
  return await loadCausalLm(folder, backend);
}

const initial = (name: string, model: CausalLm): Promise<InjectedAdapter> =>
  loadAdapter(fixturePath(join('training', name, 'initial')), model, plugins);

/** The recipe with PEFT's settings: what each step tells, and the adapter afterwards. */
async function train(name: string, model: CausalLm): Promise<{ told: Step[]; values: Map<string, ArrayLike<number>> }> {
  const adapter = await initial(name, model);
  const told: Step[] = [];
  await fineTune({
    model,
    adapter,
    examples,
    steps,
    batchSize: batches[0]!.length,
    shuffle: false,
    schedule: 'linear',
    learningRate: settings.learningRate,
    warmup: settings.warmup,
    weightDecay: settings.weightDecay,
    maxGradNorm: settings.maxGradNorm,
    onEvent: (event) => {
      if (event.type !== 'step') return;
      told.push({ learningRate: event.learningRate, loss: event.loss, gradNorm: event.gradNorm! });
    },
  });
  const values = new Map<string, ArrayLike<number>>();
  for (const [path, parameter] of adapter.parameters()) values.set(path, await parameter.data());
  adapter.eject();
  return { told, values };
}

/** Gradients before clipping in step `wanted`, by a loop of our own. */
async function gradientsIn(wanted: number, name: string, model: CausalLm): Promise<Map<string, ArrayLike<number>>> {
  const adapter = await initial(name, model);
  const parameters = adapter.parameters();
  const { learningRate, warmup, weightDecay, maxGradNorm } = settings;
  const schedule = learningRateSchedule({ kind: 'linear', learningRate, steps, warmup });
  const optimizer = new AdamW([{ params: parameters }], { learningRate, weightDecay });
  const found = new Map<string, ArrayLike<number>>();
  for (let step = 1; step <= wanted; step++) {
    const batch = makeBatch(
      batches[(step - 1) % batches.length]!.map((example) => examples[batches.flat().indexOf(example)]!),
    );
    scope(() => {
      const { sum, count } = lossOf(model)(batch, { training: true, seed: 0, step });
      backward(sum);
      scaleGradients(parameters.values(), 1 / count);
    });
    if (step === wanted) for (const [path, { grad }] of parameters) found.set(path, await grad!.data());
    clipGradients(parameters.values(), maxGradNorm).dispose();
    optimizer.step(schedule(step - 1));
    optimizer.zeroGrad();
  }
  optimizer.dispose();
  adapter.eject();
  return found;
}

/** Our name of a parameter that PEFT calls `base_model.model.<path>.lora_A.weight`. */
function pathOf(key: string): string {
  return key
    .replace('base_model.model.', '')
    .replace(/lora_([AB])\.weight$/, '$1')
    .replace(/lora_magnitude_vector(\.weight)?$/, 'magnitude');
}

/** Root of the mean square of a difference, over that of what it should be. */
function apart(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  const norm = (values: number[]): number => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return norm(Array.from(expected, (value, i) => value - found[i]!)) / norm(Array.from(expected));
}

describe.each(Object.keys(runs))('%s', (name) => {
  const { steps: theirs, losses64 } = runs[name]!;
  let native: Backend;
  let model: CausalLm;

  beforeAll(async () => {
    native = await cpu({ threads: 2 });
    model = await modelOn(native);
  });
  afterAll(async () => {
    model.dispose();
    await native.dispose();
  });

  it('has PEFT’s loss, learning rate and gradient norm in every step, and ends with its adapter', async () => {
    const { told, values } = await train(name, model);
    expect(told).toHaveLength(steps);
    told.forEach(({ loss, learningRate, gradNorm }, i) => {
      expect(Math.abs(loss - theirs[i]!.loss), `loss of step ${i + 1}`).toBeLessThan(1e-4);
      expect(learningRate).toBeCloseTo(theirs[i]!.learningRate, 15);
      expect(Math.abs(gradNorm / theirs[i]!.gradNorm - 1), `norm of step ${i + 1}`).toBeLessThan(1e-4);
    });
    expect(theirs.at(-1)!.loss).toBeLessThan(theirs[1]!.loss - 0.2);
    const final = await readAdapter(fixturePath(join('training', name, 'final')), model, plugins);
    for (const [path, found] of values) {
      const at = path.lastIndexOf('.');
      const expected = final.states.get(path.slice(0, at))!.params[path.slice(at + 1)]!.data;
      // Adam divides by the gradient's size: where that is tiny, rounding decides. Most elements agree far better.
      expect(apart(found, expected), path).toBeLessThan(1e-3);
    }
  });

  // Two layers of sums of up to 112 products, forward and back: some 100 units of 2^-24 relative to the largest.
  it.each([1, 3])('step %i has PEFT’s gradients', async (step) => {
    const found = await gradientsIn(step, name, model);
    const expected = new Map(
      Array.from(under(gradients, `${name}.step${step}`), ([key, value]) => [pathOf(key), value]),
    );
    expect([...found.keys()].toSorted()).toEqual([...expected.keys()].toSorted());
    for (const [path, { data }] of expected) {
      const largest = Math.max(...Array.from(data, (value) => Math.abs(value)));
      expect(greatestDifference(found.get(path)!, data), path).toBeLessThanOrEqual(100 * 2 ** -24 * largest + 1e-9);
    }
  });

  it('in float64 has the losses of PEFT’s run in float64', async () => {
    const exact = await modelOn(await reference({ blockFormats: [] }));
    const { told } = await train(name, exact);
    // transformers computes norms, softmax and RoPE in float32 even then: some 1e-7 a step, which ten steps amplify.
    told.forEach(({ loss }, i) => expect(Math.abs(loss - losses64[i]!), `step ${i + 1}`).toBeLessThan(1e-5));
    exact.dispose();
  });
});
