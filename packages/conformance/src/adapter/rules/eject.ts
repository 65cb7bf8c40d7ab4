import { add, scope, wrapLayer, type Tensor } from '@lowrank/core';
import { demand } from '../../conformance-error.ts';
import { demandClose, demandEqual, expectedOf, titleOf, tracker } from '../judge.ts';
import { disposeStep, makeRig, outputOf, step, trainingPass, withRig, Rig } from '../rig.ts';
import { stirredStates } from '../stirred.ts';
import { buildLayer, inputOf } from '../test-layers.ts';
import type { AdapterRule } from './rule.ts';

const leading = [5];

/** Off again, nothing tells that it was there: neither numbers nor memory. */
export const ejectIsExact: AdapterRule = {
  name: 'ejecting leaves the layer as it was, merged or not, and frees all memory',
  async run(trial) {
    const { backend, row, configured } = trial;
    const states = await stirredStates(trial);
    const layer = buildLayer(backend, row);
    const base = await outputOf(layer, trial, leading);
    const live = backend.memory().liveBytes;
    for (const merged of configured.adapter.merge === undefined ? [false] : [false, true]) {
      const adapter = await wrapLayer(layer, configured);
      adapter.load(new Map([...states.values()].map((state) => ['default', state])));
      disposeStep(step(new Rig(trial, layer, adapter)));
      if (merged) await adapter.merge();
      adapter.eject();
      demandEqual(trial, 'output after eject', await outputOf(layer, trial, leading), base);
      demand(
        backend.memory().liveBytes === live,
        titleOf(trial, `eject leaves ${backend.memory().liveBytes - live} bytes behind`),
      );
    }
    layer.dispose();
  },
};

/** An adapter may give the layer's output itself, in fewer passes than base and delta take. */
export const outputIsTheSum: AdapterRule = {
  name: 'alone on a layer, it gives what the base and its delta add up to',
  async run(trial) {
    const states = await stirredStates(trial);
    const got = await withRig(trial, { states }, (rig) => rig.output(leading));
    const rounding = tracker(trial);
    await withRig({ ...trial, backend: rounding }, { states }, async ({ layer, slot }) => {
      const x = inputOf(rounding, trial.row, leading);
      const [y, total] = scope(() => {
        const y0 = plain(layer, x);
        return [layer.forward(x), add(y0, slot.delta(x, y0, layer.frozenLayer(slot.site), trainingOff))];
      });
      // Each way has its own roundings.
      const [own, summed] = [await expectedOf(trial, rounding, y), await expectedOf(trial, rounding, total)];
      const tolerance = summed.tolerance.map((error, i) => error + own.tolerance[i]!);
      demandClose(trial, 'output beside y0 + delta', got, { value: summed.value, tolerance });
      for (const used of [x, y, total]) used.dispose();
    });
  },
};

/** A second adapter neither sees the first nor is seen by it. */
export const adaptersAddUp: AdapterRule = {
  name: 'several adapters on one layer add up, and come off one by one',
  async run(trial) {
    const states = await stirredStates(trial);
    await withRig(trial, { states }, async (first) => {
      const { layer, backend } = first;
      if (first.slot.state.base !== undefined) return;
      const alone = await first.output(leading);
      const second = await wrapLayer(layer, trial.configured, { name: 'second', seed: 8 });
      second.load(new Map([...states.values()].map((state) => ['second', state])));
      demand(layer.slots.length === 2, titleOf(trial, 'the layer does not carry both adapters'));
      const x = inputOf(backend, trial.row, leading);
      const [y, base, deltas] = scope(() => {
        const y0 = plain(layer, x);
        return [
          layer.forward(x),
          y0,
          layer.slots.map((slot) => slot.delta(x, y0, layer.frozenLayer(slot.site), trainingOff)),
        ];
      });
      const [together, start, one, two] = [
        await y.data(),
        await base.data(),
        await deltas[0]!.data(),
        await deltas[1]!.data(),
      ];
      const narrow = backend.supports.precision === 'f32' ? Math.fround : (value: number) => value;
      const sum = together.map((_: number, i: number) => narrow(narrow(start[i]! + one[i]!) + two[i]!));
      demandEqual(trial, 'output of both', together, sum);
      for (const used of [x, y, base, ...deltas]) used.dispose();
      second.eject();
      demandEqual(trial, 'output after the second came off', await first.output(leading), alone);
    });
  },
};

const trainingOff = { ...trainingPass, training: false };

/** The layer without its adapters. */
function plain(layer: ReturnType<typeof buildLayer>, x: Tensor): Tensor {
  const slots = [...layer.slots];
  const active = slots.map((slot) => slot.active);
  for (const slot of slots) slot.active = false;
  const y = layer.forward(x);
  slots.forEach((slot, i) => {
    slot.active = active[i]!;
  });
  return y;
}

/** Live bytes after N steps are those after two. */
export const stepsLeaveNothing: AdapterRule = {
  name: 'twelve steps hold no more memory than two',
  async run(trial) {
    const rig = await makeRig(trial);
    const live: number[] = [];
    for (let i = 0; i < 12; i++) {
      disposeStep(step(rig, { pass: { ...trainingPass, step: i } }));
      live.push(trial.backend.memory().liveBytes);
    }
    rig.dispose();
    demand(live[11] === live[1], titleOf(trial, `${live[11]} bytes are live after twelve steps, ${live[1]} after two`));
  },
};
