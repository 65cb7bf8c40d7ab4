import { countingBackend, reference } from '@lowrank/conformance';
import {
  AdamW,
  backward,
  batchesOf,
  crossEntropy,
  freeze,
  inject,
  learningRateSchedule,
  parameterCounts,
  scope,
  sum,
  tensor,
  trainableParameters,
  Trainer,
  type Backend,
  type ForwardPass,
  type InjectedAdapter,
  type Tensor,
} from '@lowrank/core';
import { beforeEach, describe, expect, test } from 'vitest';
import { shiftConfig, ToyModel, VOCABULARY, WIDTH } from './toy.ts';

let backend: Backend;
let model: ToyModel;
beforeEach(async () => {
  backend = await reference();
  model = new ToyModel(backend);
});
const ids = (): Tensor => tensor(backend, Int32Array.of(0, 3, 1, 4), [4]);
const output = async (pass?: ForwardPass): Promise<number[]> => {
  const y = scope(() => model.forward(ids(), pass));
  const values = Array.from(await y.data());
  y.dispose();
  return values;
};
const coded = (code: string, message = ''): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(message) as string });
const furthest = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));

describe('targets', () => {
  const linears = ['layers.0.up', 'layers.0.down', 'layers.1.up', 'layers.1.down'];
  const paths = (adapter: InjectedAdapter): string[] => adapter.sites.map(({ path }) => path);

  test.each<[string, string[] | string, string[] | string, string[]]>([
    ['names', ['up'], [], ['layers.0.up', 'layers.1.up']],
    ['whole paths and ends of paths', ['layers.0.up', '1.down'], [], ['layers.0.up', 'layers.1.down']],
    ['a pattern on the whole path', 'layers\\.\\d\\.(up|down)', [], linears],
    ["'all-linear', without the head", 'all-linear', [], linears],
    ['what is not excluded', 'all-linear', ['down'], ['layers.0.up', 'layers.1.up']],
    ['what no pattern excludes', ['up'], '.*0.*', ['layers.1.up']],
    ['the head and the embedding by name', ['lm_head', 'embed'], [], ['embed', 'lm_head']],
  ])('are %s', async (_, targetModules, excludeModules, expected) => {
    expect(paths(await inject(model, shiftConfig(targetModules, { excludeModules })))).toEqual(expected);
  });

  test.each<[string, string[] | string, string]>([
    [
      'a name that is not there',
      ['q_proj'],
      'nothing in this model is named q_proj; there are embed, up, down, lm_head',
    ],
    ['one good name and a bad one', ['up', 'gate'], 'named gate'],
    ['a part of a name', ['p'], 'named p'],
    ['a pattern that does not match a whole path', 'up', '"up"'],
  ])('refuse %s, saying which names exist', async (_, targetModules, message) => {
    await expect(inject(model, shiftConfig(targetModules))).rejects.toThrow(coded('CORE_NO_TARGET', message));
    expect(parameterCounts(model).trainable).toBe(0);
  });
});

describe('an injected adapter', () => {
  test('adds its delta, and ejected leaves the same bits and no memory', async () => {
    const [before, live] = [await output(), backend.memory().liveBytes];
    const adapter = await inject(model, shiftConfig(['up', 'down']));
    const with_ = await output();
    expect(furthest(with_, before)).toBeGreaterThan(1e-3);
    adapter.setActive(false);
    expect(await output()).toEqual(before);
    adapter.setActive(true);
    expect(await output()).toEqual(with_);
    adapter.eject();
    expect(await output()).toEqual(before);
    expect(backend.memory().liveBytes).toBe(live);
  });

  test('merged gives the live outputs, and unmerged the live bits', async () => {
    const live = backend.memory().liveBytes;
    const adapter = await inject(model, shiftConfig(['up', 'lm_head']));
    const live1 = await output();
    await adapter.merge();
    // Merged weights are rounded to f32 once: 2^-24 of values below 1 over 7 terms, through two blocks of norm about 3.
    expect(furthest(await output(), live1)).toBeLessThan(1e-5);
    expect(await output()).not.toEqual(live1);
    adapter.unmerge();
    expect(await output()).toEqual(live1);
    adapter.eject();
    expect(backend.memory().liveBytes).toBe(live);
  });

  test('is the same for the same seed, on every site another', async () => {
    const values = async (seed: number): Promise<number[][]> => {
      const adapter = await inject(new ToyModel(backend), shiftConfig(['up']), { seed });
      return Promise.all([...adapter.parameters().values()].map(async (param) => Array.from(await param.data())));
    };
    const [first, again, other] = [await values(1), await values(1), await values(2)];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(first[0]).not.toEqual(first[1]);
  });

  test('can be one of several, which add up', async () => {
    const base = await output();
    const one = await inject(model, shiftConfig(['lm_head']), { name: 'one' });
    const first = await output();
    await inject(model, shiftConfig(['lm_head']), { name: 'two', seed: 1 });
    const both = await output();
    one.setActive(false);
    const second = await output();
    expect(
      furthest(
        both,
        first.map((value, i) => value + second[i]! - base[i]!),
      ),
    ).toBeLessThan(1e-12);
    await expect(inject(model, shiftConfig(['lm_head']), { name: 'one' })).rejects.toThrow(
      coded('CORE_ARGUMENT', "'one'"),
    );
  });

  test('has dropout that seed, step and path name: the same when run again', async () => {
    await inject(model, shiftConfig(['up'], { probability: 0.5, size: 2 }));
    const pass = (step: number): ForwardPass => ({ training: true, seed: 1, step });
    const [still, first, again, later] = [
      await output(),
      await output(pass(0)),
      await output(pass(0)),
      await output(pass(1)),
    ];
    expect(again).toEqual(first);
    expect(later).not.toEqual(first);
    expect(first).not.toEqual(still);
    expect(await output({ training: false, seed: 1, step: 0 })).toEqual(still);
  });

  test('is loaded from its own state, and from no other', async () => {
    const adapter = await inject(model, shiftConfig(['up']), { seed: 1 });
    const [states, expected] = [await adapter.hostStates(), await output()];
    adapter.eject();
    const fresh = await inject(model, shiftConfig(['up']), { seed: 2 });
    expect(await output()).not.toEqual(expected);
    fresh.load(states);
    expect(await output()).toEqual(expected);
    const other = await inject(new ToyModel(backend), shiftConfig(['up', 'down']));
    expect(() => other.load(states)).toThrow(coded('CORE_STATE', 'layers.0.down'));
    const single = await inject(new ToyModel(backend), shiftConfig(['0.up']));
    expect(() => single.load(states)).toThrow(coded('CORE_STATE', 'layers.1.up'));
  });

  test('of another interface version is refused', async () => {
    const configured = shiftConfig(['up']);
    const old = { ...configured, adapter: { ...configured.adapter, interfaceVersion: 0 as 1 } };
    await expect(inject(model, old)).rejects.toThrow(coded('CORE_INTERFACE_VERSION', "'shift'"));
  });
});

describe('parameters', () => {
  const base = VOCABULARY * WIDTH + 2 * (2 * WIDTH * (WIDTH + 1) + WIDTH + 1) + WIDTH;

  test('are counted once where they are tied, adapters included', async () => {
    expect(parameterCounts(model)).toEqual({ trainable: 0, total: base });
    await inject(model, shiftConfig(['up']));
    const added = 2 * WIDTH * (WIDTH + 1);
    expect(parameterCounts(model)).toEqual({ trainable: added, total: base + added });
  });

  test('freeze leaves adapters alone and stops the rest', async () => {
    model.norm.weight.requiresGrad = true;
    const adapter = await inject(model, shiftConfig(['up']));
    expect([...trainableParameters(model).keys()]).toEqual(['norm.weight', ...adapter.parameters().keys()]);
    freeze(model);
    expect(trainableParameters(model)).toEqual(adapter.parameters());
  });
});

test('frozen means free: training an adapter makes no product, gradient or memory for a base weight', async () => {
  const counting = countingBackend(await reference());
  const toy = new ToyModel(counting);
  const adapter = await inject(toy, shiftConfig(['layers.1.down']));
  const trained = adapter.parameters();
  expect(counting.memory().liveStorages).toBe(1 + 2 * 3 + 1 + 1);
  counting.resetCounts();
  const loss = scope(() =>
    sum(
      crossEntropy(toy.forward(tensor(counting, Int32Array.of(0, 1), [2])), tensor(counting, Int32Array.of(1, 2), [2])),
    ),
  );
  // Four linear layers, the head, the adapter.
  expect(counting.counts().byKernel.get('matmul')).toBe(6);
  counting.resetCounts();
  backward(loss);
  const products = counting.counts().calls.filter(({ kernel }) => kernel === 'matmul');
  // Through the head toward its input, and D's own gradient. Nothing below layer 1's down is run back.
  expect(products.map(({ results }) => results)).toEqual([[2 * WIDTH], [(WIDTH + 1) * WIDTH]]);
  loss.dispose();
  expect(counting.memory().liveStorages).toBe(1 + 2 * 3 + 1 + 1 + trained.size);
});

test('an adapter learns while its base stays the same bits', async () => {
  const adapter = await inject(model, shiftConfig(['up', 'down', 'lm_head'], { size: 1 }));
  const before = await Promise.all(
    [...model.allWeights()].map(async ([, weight]) => ('host' in weight ? (await weight.host()).data : weight.data())),
  );
  const params = adapter.parameters();
  const losses: number[] = [];
  const trainer = new Trainer({
    optimizer: new AdamW([{ params }], { learningRate: 0.05 }),
    schedule: learningRateSchedule({ kind: 'constant', learningRate: 0.05, steps: 25 }),
    loss: (targets: readonly number[], pass) => ({
      sum: sum(crossEntropy(model.forward(ids(), pass), tensor(backend, Int32Array.from(targets), [4]))),
      count: 4,
    }),
    data: { ...batchesOf([0], { batchSize: 1, seed: 0 }), batch: () => [1, 2, 0, 3] },
    steps: 25,
    onEvent: (event) => {
      if (event.type === 'step') losses.push(event.loss);
    },
  });
  await trainer.run();
  expect(losses.at(-1)).toBeLessThan(losses[0]! / 10);
  const after = await Promise.all(
    [...model.allWeights()].map(async ([, weight]) => ('host' in weight ? (await weight.host()).data : weight.data())),
  );
  expect(after).toEqual(before);
});
