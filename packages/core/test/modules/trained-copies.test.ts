/** Modules to save and biases: trained copies of the model's own weights. */
import { reference } from '@lowrank/conformance';
import {
  AdamW,
  backward,
  crossEntropy,
  freeze,
  inject,
  parameterCounts,
  scope,
  sum,
  tensor,
  trainableParameters,
  type Backend,
  type InjectedAdapter,
} from '@lowrank/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { shiftConfig, ToyModel, VOCABULARY, WIDTH, type ShiftConfig } from './toy.ts';

let backend: Backend;
let model: ToyModel;
beforeEach(async () => {
  backend = await reference();
  model = new ToyModel(backend);
});
const output = async (): Promise<number[]> => {
  const y = scope(() => model.forward(tensor(backend, Int32Array.of(0, 3, 1, 4), [4])));
  const values = Array.from(await y.data());
  y.dispose();
  return values;
};
const put = (options: Partial<ShiftConfig>, name = 'default', targets: string[] = ['up']): Promise<InjectedAdapter> =>
  inject(model, shiftConfig(targets, { size: 0, ...options }), { name });
const names = (adapter: InjectedAdapter): string[] => [...adapter.parameters().keys()];
const refused = (code: string, text: string): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(text) as string });

/** Some steps toward other tokens. */
function train(adapter: InjectedAdapter, steps = 5): void {
  const optimizer = new AdamW([{ params: adapter.parameters() }], { learningRate: 0.05 });
  for (let step = 0; step < steps; step++) {
    scope(() => {
      const logits = model.forward(tensor(backend, Int32Array.of(0, 3, 1, 4), [4]));
      backward(sum(crossEntropy(logits, tensor(backend, Int32Array.of(1, 2, 0, 3), [4]))));
    });
    optimizer.step();
    optimizer.zeroGrad();
  }
  optimizer.dispose();
}

describe('modules to save', () => {
  it('are trained as copies, which start at the base and leave it alone', async () => {
    const before = await output();
    const { liveBytes } = backend.memory();
    const weights = [...model.allWeights()].map(([, weight]) => weight);
    const adapter = await put({ modulesToSave: ['lm_head', 'embed', 'norm'] });
    expect(names(adapter).slice(2)).toEqual(['embed.weight', 'norm.weight', 'lm_head.weight']);
    expect(await output()).toEqual(before);
    train(adapter);
    const trained = await output();
    expect(trained).not.toEqual(before);
    for (const { tensor: copy, path } of adapter.copies) {
      expect(Array.from(await copy.data()), path).not.toEqual(Array.from({ length: copy.size }, () => 0));
    }
    adapter.setActive(false);
    expect(await output()).toEqual(before);
    adapter.setActive(true);
    expect(await output()).toEqual(trained);
    adapter.eject();
    expect([...model.allWeights()].map(([, weight]) => weight)).toEqual(weights);
    expect(await output()).toEqual(before);
    expect(backend.memory().liveBytes).toBe(liveBytes);
  });

  it('are every weight of a module and of those within it', async () => {
    const adapter = await put({ modulesToSave: ['layers.1'] }, 'default', ['0.up']);
    expect(names(adapter).slice(1)).toEqual(['layers.1.up.weight', 'layers.1.up.bias', 'layers.1.down.weight']);
  });

  it('of a tied weight are copies of their own', async () => {
    const adapter = await put({ modulesToSave: ['lm_head'] });
    const tied = model.embed.weight;
    expect(model.head.weight).not.toBe(tied);
    train(adapter);
    expect(model.embed.weight).toBe(tied);
  });

  it('are saved and loaded with the adapter', async () => {
    const adapter = await put({ modulesToSave: ['lm_head', 'norm'], bias: 'lora_only' });
    train(adapter);
    const [states, trained] = [await adapter.hostStates(), await output()];
    expect([...states.keys()]).toEqual(['layers.0.up', 'layers.1.up', 'norm', 'lm_head']);
    expect(Object.keys(states.get('layers.0.up')!.params)).toEqual(['D', 'bias']);
    expect(states.get('lm_head')).toMatchObject({ params: { weight: { shape: [VOCABULARY, WIDTH] } }, buffers: {} });
    adapter.eject();
    const other = await put({ modulesToSave: ['lm_head', 'norm'], bias: 'lora_only' }, 'other');
    other.load(states);
    expect(await output()).toEqual(trained);
    other.eject();
    const without = await put({});
    expect(() => without.load(states)).toThrow(refused('CORE_STATE', 'norm'));
  });

  it('stay in place when the adapter is merged', async () => {
    const adapter = await put({ modulesToSave: ['norm'], size: 1 });
    train(adapter);
    const live = await output();
    await adapter.merge();
    // The merged weights are rounded to f32 once, as in inject.test.ts.
    expect(Math.max(...(await output()).map((value, i) => Math.abs(value - live[i]!)))).toBeLessThan(1e-5);
    adapter.unmerge();
    expect(await output()).toEqual(live);
  });

  it('are the copies of one adapter at a time', async () => {
    const before = await output();
    const one = await put({ modulesToSave: ['norm'] }, 'one');
    train(one);
    const first = await output();
    await expect(put({ modulesToSave: ['norm'] }, 'two')).rejects.toThrow(
      refused('CORE_ARGUMENT', "replaces norm.weight, which 'one' has replaced already"),
    );
    one.setActive(false);
    const two = await put({ modulesToSave: ['norm'] }, 'two');
    expect(() => one.setActive(true)).toThrow(refused('CORE_ARGUMENT', "'two' has replaced already"));
    expect(await output()).toEqual(before);
    two.setActive(false);
    one.setActive(true);
    expect(await output()).toEqual(first);
  });

  it('must be there, and not be adapted as well', async () => {
    const { liveBytes } = backend.memory();
    await expect(put({ modulesToSave: ['head'] })).rejects.toThrow(refused('CORE_NO_TARGET', 'named head'));
    await expect(put({ modulesToSave: ['layers.1'] })).rejects.toThrow(refused('CORE_ARGUMENT', 'layers.1.up'));
    expect(backend.memory().liveBytes).toBe(liveBytes);
    const all = await inject(model, shiftConfig('all-linear', { modulesToSave: ['layers.1'] }));
    expect(all.sites.map(({ path }) => path)).toEqual(['layers.0.up', 'layers.0.down']);
  });

  it('count as trainable, and freezing leaves them so', async () => {
    const adapter = await put({ modulesToSave: ['norm'] });
    freeze(model);
    expect(parameterCounts(model).trainable).toBe(WIDTH + 2 * WIDTH * (WIDTH + 1));
    expect(new Set(trainableParameters(model).values())).toEqual(new Set(adapter.parameters().values()));
  });
});

describe('biases', () => {
  it.each([
    ['none', ['0.up'], []],
    ['lora_only', ['0.up'], ['layers.0.up.bias']],
    ['lora_only', ['down'], []],
    ['all', ['down'], ['layers.0.up.bias', 'layers.1.up.bias']],
  ] as const)("'%s' with %j", async (bias, targets, expected) => {
    const adapter = await put({ bias }, 'default', [...targets]);
    expect(adapter.copies.map(({ path, name }) => `${path}.${name}`)).toEqual(expected);
  });

  it('are trained', async () => {
    const adapter = await put({ bias: 'all' }, 'default', ['down']);
    const [before] = adapter.copies.map(({ tensor: copy }) => copy);
    const start = Array.from(await before!.data());
    train(adapter);
    expect(Array.from(await before!.data())).not.toEqual(start);
    adapter.eject();
    expect(Array.from(await model.layers.items[0]!.up.bias!.data())).toEqual(start);
  });
});
