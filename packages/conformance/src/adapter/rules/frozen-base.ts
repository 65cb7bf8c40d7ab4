import { FrozenWeight } from '@lowrank/core';
import { sameBits } from '../../backend/operands.ts';
import { demand } from '../../conformance-error.ts';
import { countingBackend, type KernelCall } from '../../counting-backend.ts';
import { titleOf } from '../judge.ts';
import { disposeStep, step, trainingPass, withRig, type Rig, type Trial } from '../rig.ts';
import { stirredStates } from '../stirred.ts';
import type { AdapterRule } from './rule.ts';

/** Below this, tensors of an adapter may happen to be as large as the weight. */
const least = 800;

/** Frozen means free: counted in kernels and bytes. */
export const baseIsFree: AdapterRule = {
  name: 'spends no gradient, kernel or byte on the frozen base',
  excuse: ({ row }) =>
    row.inFeatures * row.outFeatures < least ? 'the weight is too small to be told from other tensors' : undefined,
  async run(trial) {
    const states = await stirredStates(trial);
    const backend = countingBackend(trial.backend);
    const size = trial.row.inFeatures * trial.row.outFeatures;
    await withRig({ ...trial, backend }, { states }, async (rig) => {
      disposeStep(step(rig));
      for (const inputGradient of [false, true]) {
        const live = backend.memory().liveBytes;
        backend.resetCounts();
        let forwardCalls = 0;
        const found = step(rig, {
          inputGradient,
          forward: (x) => {
            const y = rig.layer.forward(x, trainingPass);
            forwardCalls = backend.counts().calls.length;
            return y;
          },
        });
        const { calls } = backend.counts();
        demandNoWeightGradient(trial, calls, size);
        const forward = readsOf(calls.slice(0, forwardCalls), size);
        const reverse = readsOf(calls.slice(forwardCalls), size);
        const allowed = inputGradient && trial.row.kind === 'linear' ? forward : 0;
        demand(
          reverse === allowed,
          titleOf(
            trial,
            `backward reads the base weight ${reverse} times, forward ${forward}; ${allowed} is right where the input ${inputGradient ? 'wants a' : 'wants no'} gradient`,
          ),
        );
        demandOnlyGradientsLive(trial, backend.memory().liveBytes - live, found);
        disposeStep(found);
        demand(backend.memory().liveBytes === live, titleOf(trial, 'a training step leaves bytes behind'));
      }
    });
  },
};

/** A gradient toward the weight would be as large as the weight. Blocks that the backend does not know are decoded, but by no kernel. */
function demandNoWeightGradient(trial: Trial, calls: readonly KernelCall[], size: number): void {
  const wrong = calls.find((call) => call.results.includes(size));
  demand(
    wrong === undefined,
    titleOf(trial, `${wrong?.kernel} makes something as large as the frozen weight (${size} elements)`),
  );
}

function readsOf(calls: readonly KernelCall[], size: number): number {
  return calls.filter((call) => call.operands.includes(size)).length;
}

/** After backward, output and gradients are all that was not there before. */
function demandOnlyGradientsLive(
  trial: Trial,
  grown: number,
  found: ReadonlyMap<string, { storage: { byteLength: number } }>,
): void {
  const results = [...found.values()].reduce((bytes, { storage }) => bytes + storage.byteLength, 0);
  demand(
    grown === results,
    titleOf(trial, `${grown} bytes are live after backward; output and gradients are ${results}`),
  );
}

/** Training, merging and taking off leave the base's bytes as they came. */
export const baseIsUntouched: AdapterRule = {
  name: 'never changes the base weight',
  async run(trial) {
    const states = await stirredStates(trial);
    await withRig(trial, { states }, async (rig) => {
      const own = rig.slot.state.base !== undefined;
      const before = own ? undefined : await bytesOf(rig);
      disposeStep(step(rig));
      disposeStep(step(rig, { pass: { ...trainingPass, step: 4 } }));
      if (before !== undefined) {
        demand(sameBits(await bytesOf(rig), before), titleOf(trial, 'training changed the base weight'));
      }
    });
  },
};

async function bytesOf({ layer }: Rig): Promise<Awaited<ReturnType<FrozenWeight['host']>>['data']> {
  const { weight } = layer;
  demand(weight instanceof FrozenWeight, 'the test layer has a frozen weight');
  return (await weight.host()).data;
}
