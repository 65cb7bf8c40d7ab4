/** AdamW with 8-bit state against bitsandbytes' optimizer, and against the exact algorithm. */
import { cpu } from '@lowrank/backend-cpu';
import { withoutKernels } from '@lowrank/conformance';
import {
  AdamW8bit,
  dynamicMap,
  tensor,
  unsignedDynamicMap,
  type Backend,
  type HostArray,
  type Tensor,
} from '@lowrank/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fixtureJson, fixtureTensors, floatsOf, greatestDifference, tensorOf } from './support/fixtures.ts';

const fixtures = fixtureTensors('adamw8bit');
const { settings } = fixtureJson('adamw8bit') as {
  settings: { learningRate: number; beta1: number; beta2: number; epsilon: number; weightDecay: number };
};
const [steps, size] = tensorOf(fixtures, 'gradients').shape as [number, number];
const blocks = Math.ceil(size / 256);

/** Row `step` (from 1) of a table in the fixture. */
function row(name: string, step: number): Float32Array | Uint8Array {
  const { data, shape } = tensorOf(fixtures, name);
  return (data as Float32Array | Uint8Array).subarray((step - 1) * shape[1]!, step * shape[1]!);
}

interface Run {
  readonly parameter: Tensor;
  readonly optimizer: AdamW8bit;
  /** Takes step `step` with the fixture's gradient. */
  take(step: number): void;
}

function run(backend: Backend, start: Float32Array): Run {
  const parameter = tensor(backend, start, [size]);
  parameter.requiresGrad = true;
  const groups = [{ params: new Map([['p', parameter]]) }];
  const optimizer = new AdamW8bit(groups, { ...settings, minimumSize: 0 });
  return {
    parameter,
    optimizer,
    take(step) {
      parameter.grad = tensor(backend, row('gradients', step), [size]);
      optimizer.step();
    },
  };
}

/** Codes and scales as the fixture names them. */
async function stateOf({ optimizer }: Run): Promise<Map<string, ArrayLike<number>>> {
  const { arrays } = await optimizer.state();
  const bytes = (name: string): Uint8Array => new Uint8Array(arrays.get(name)!.data.buffer).subarray(0, size);
  return new Map<string, ArrayLike<number>>([
    ['first.codes', bytes('firstCodes/p')],
    ['first.absmax', arrays.get('firstAbsmax/p')!.data],
    ['second.codes', bytes('secondCodes/p')],
    ['second.absmax', arrays.get('secondAbsmax/p')!.data],
  ]);
}

/** bitsandbytes' state after a step, as ours is saved. */
function theirState(step: number): Map<string, HostArray> {
  return new Map(
    ['first', 'second'].flatMap((which): [string, HostArray][] => {
      const words = new Int32Array(Uint8Array.from(row(`bitsandbytes.${which}.codes`, step)).buffer);
      const absmax = Float32Array.from(row(`bitsandbytes.${which}.absmax`, step));
      return [
        [`${which}Codes/p`, { format: 'i32', shape: [size / 4], data: words }],
        [`${which}Absmax/p`, { format: 'f32', shape: [blocks], data: absmax }],
      ];
    }),
  );
}

let native: Backend;

beforeAll(async () => {
  native = await cpu();
});

afterAll(() => native.dispose());

it('the maps are bitsandbytes’, bit for bit', () => {
  expect(dynamicMap()).toEqual(floatsOf(fixtures, 'map.signed'));
  expect(unsignedDynamicMap()).toEqual(floatsOf(fixtures, 'map.unsigned'));
});

describe.each([
  ['as the CPU has it', (): Backend => native],
  ['composed of primitives', (): Backend => withoutKernels(native, ['adamw8bit'])],
])('%s', (_, backend) => {
  it('every step gives the exact algorithm’s codes to the byte, and parameters and scales to the bit', async () => {
    const trace = run(backend(), floatsOf(fixtures, 'start'));
    for (let step = 1; step <= steps; step++) {
      trace.take(step);
      for (const [name, found] of await stateOf(trace)) {
        expect(Array.from(found), `${name} after step ${step}`).toEqual(Array.from(row(`exact.${name}`, step)));
      }
      expect(await trace.parameter.data(), `parameters after step ${step}`).toEqual(
        Float32Array.from(row('exact.parameters', step)),
      );
    }
  });

  it('is as near to 32-bit AdamW as bitsandbytes is, and nearer', async () => {
    const trace = run(backend(), floatsOf(fixtures, 'start'));
    for (let step = 1; step <= steps; step++) {
      trace.take(step);
      const exact = row('adamw32', step);
      const theirs = greatestDifference(row('bitsandbytes.parameters', step), exact);
      // The first step starts from zeros: nothing is coded yet, and there is rounding alone.
      expect(greatestDifference(await trace.parameter.data(), exact)).toBeLessThanOrEqual(
        step === 1 ? 2 ** -22 : theirs,
      );
    }
  });
});

/** bitsandbytes looks codes up in a table of 65,536 bins over [-1, 1]. */
const bin = 2 / 65_535;

describe('one step from bitsandbytes’ state', () => {
  it('gives its parameters within rounding, and its codes but where its table’s bins are too wide', async () => {
    const counts = { 'first.codes': 0, 'second.codes': 0 };
    for (let step = 2; step <= steps; step++) {
      const from = run(native, Float32Array.from(row('bitsandbytes.parameters', step - 1)));
      from.optimizer.load({ step: step - 1, arrays: theirState(step - 1) });
      from.take(step);
      const state = await stateOf(from);
      const expected = row('bitsandbytes.parameters', step);
      // A dozen roundings of numbers below 8.
      expect(greatestDifference(await from.parameter.data(), expected)).toBeLessThan(12 * 8 * 2 ** -24);
      for (const which of ['first', 'second'] as const) {
        const map = which === 'first' ? dynamicMap() : unsignedDynamicMap();
        const [ours, theirs] = [state.get(`${which}.codes`)!, row(`bitsandbytes.${which}.codes`, step)];
        const midpoint = (code: number): number => (map[code]! + map[code + 1]!) / 2;
        for (let i = 0; i < size; i++) {
          if (ours[i] === theirs[i]) continue;
          counts[`${which}.codes`]++;
          // The numbers between our code's midpoints and those between theirs are less than a bin apart.
          const [low, high] = [Math.min(ours[i]!, theirs[i]!), Math.max(ours[i]!, theirs[i]!)];
          expect(midpoint(high - 1) - midpoint(low), `${which}[${i}] after step ${step}`).toBeLessThan(bin);
        }
      }
    }
    // Some 5 % and 12 % of 20,000: elements that lie near 0.
    expect(counts['first.codes']).toBeLessThan(1200);
    expect(counts['second.codes']).toBeLessThan(2600);
  });
});
