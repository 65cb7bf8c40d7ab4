/** Several adapters on one base: by name, for different rows, and with a way back. */
import { reference } from '@lowrank/conformance';
import {
  AdapterRows,
  adapterRows,
  AdamW,
  backward,
  crossEntropy,
  inject,
  ModelAdapters,
  scope,
  sum,
  tensor,
  type Backend,
  type ForwardPass,
  type InjectedAdapter,
  type Tensor,
} from '@lowrank/core';
import { beforeEach, describe, expect, it } from 'vitest';
import { shiftConfig, ToyModel, VOCABULARY } from './toy.ts';

let backend: Backend;
let model: ToyModel;
beforeEach(async () => {
  backend = await reference();
  model = new ToyModel(backend);
});
const ids = [0, 3, 1, 4, 2, 2];
const output = async (pass?: ForwardPass, of: readonly number[] = ids): Promise<number[]> => {
  const y = scope(() => model.forward(tensor(backend, Int32Array.from(of), [of.length]), pass));
  const values = Array.from(await y.data());
  y.dispose();
  return values;
};
const rowsOf = (values: readonly number[], start: number, count: number): readonly number[] =>
  values.slice(start * VOCABULARY, (start + count) * VOCABULARY);
const refused = (text: string): unknown =>
  expect.objectContaining({ code: 'CORE_ARGUMENT', message: expect.stringContaining(text) as string });
const still = { training: false, seed: 0, step: 0 };

describe('ModelAdapters', () => {
  it('adds, swaps and removes by name without touching the base', async () => {
    const [base, live] = [await output(), backend.memory().liveBytes];
    const weights = [...model.allWeights()].map(([, weight]) => weight);
    const adapters = new ModelAdapters(model);
    await adapters.add('one', shiftConfig(['up', 'lm_head']), { seed: 1 });
    expect(adapters.active).toEqual([]);
    expect(await output()).toEqual(base);
    await adapters.add('two', shiftConfig(['down']), { seed: 2, active: true });
    const two = await output();
    adapters.activate('one');
    const one = await output();
    expect(adapters.active).toEqual(['one']);
    adapters.activate('two');
    expect(await output()).toEqual(two);
    adapters.activate('one', 'two');
    const both = await output();
    for (const other of [base, one, two]) expect(both).not.toEqual(other);
    adapters.activate('one');
    expect(await output()).toEqual(one);
    adapters.remove('two');
    expect(adapters.names).toEqual(['one']);
    expect(() => adapters.get('two')).toThrow(refused("no adapter is named 'two'; there are one"));
    adapters.activate();
    expect(await output()).toEqual(base);
    adapters.dispose();
    expect([...model.allWeights()].map(([, weight]) => weight)).toEqual(weights);
    expect(backend.memory().liveBytes).toBe(live);
  });

  it('swaps trained copies, and leaves all as it was where two want the same weight', async () => {
    const adapters = new ModelAdapters(model);
    const one = await adapters.add('one', shiftConfig(['up'], { modulesToSave: ['norm'] }), { seed: 1, active: true });
    train(one, 3);
    const first = await output();
    adapters.activate();
    await adapters.add('two', shiftConfig(['up'], { modulesToSave: ['norm'] }), { seed: 2 });
    await adapters.add('three', shiftConfig(['down']), { seed: 3 });
    adapters.activate('one');
    expect(() => adapters.activate('three', 'two', 'one')).toThrow(refused('norm.weight'));
    expect(adapters.active).toEqual(['one']);
    expect(await output()).toEqual(first);
    expect(() => adapters.activate('none')).toThrow(refused("'none'"));
    expect(adapters.active).toEqual(['one']);
    await expect(adapters.add('one', shiftConfig(['up']))).rejects.toThrow(refused("named 'one' is already"));
  });

  it('adopts what was injected, once', async () => {
    const adapters = new ModelAdapters(model);
    const adapter = adapters.adopt(await inject(model, shiftConfig(['up']), { name: 'mine' }));
    expect(adapters.get('mine')).toBe(adapter);
    expect(() => adapters.adopt(adapter)).toThrow(refused("'mine' is here already"));
  });
});

describe('a batch whose rows go through different adapters', () => {
  const targets = ['embed', 'up', 'down', 'lm_head'];
  let one: InjectedAdapter;
  let two: InjectedAdapter;
  /** The toy is row by row: no row sees another. */
  const alone = async (on: readonly InjectedAdapter[]): Promise<number[]> => {
    for (const adapter of [one, two]) adapter.setActive(on.includes(adapter));
    const values = await output();
    for (const adapter of [one, two]) adapter.setActive(true);
    return values;
  };
  beforeEach(async () => {
    const embedless = targets.slice(1);
    one = await inject(model, shiftConfig(embedless), { name: 'one', seed: 1 });
    two = await inject(model, shiftConfig(embedless.slice(1)), { name: 'two', seed: 2 });
  });

  it.each<[string, number[], (string | undefined)[]]>([
    ['one behind the other', [2, 3, 1], ['one', 'two', undefined]],
    ['in turns', [1, 1, 1, 1, 2], ['two', 'one', 'two', undefined, 'one']],
    ['all the same', [4, 2], ['one', 'one']],
    ['none at all', [6], [undefined]],
    ['with an empty sequence', [0, 6], ['one', 'two']],
  ])('gives each row what its adapter alone gives: %s', async (_, lengths, names) => {
    const expected = {
      one: await alone([one]),
      two: await alone([two]),
      base: await alone([]),
    };
    const pass = { ...still, adapterRows: adapterRows(model, lengths, names) };
    const mixed = await output(pass);
    let start = 0;
    for (const [i, length] of lengths.entries()) {
      const own = expected[(names[i] ?? 'base') as keyof typeof expected];
      rowsOf(mixed, start, length).forEach((value, at) =>
        expect(value).toBeCloseTo(rowsOf(own, start, length)[at]!, 12),
      );
      start += length;
    }
  });

  it('trains each adapter by its own rows alone', async () => {
    const names = ['one', 'two', 'one'];
    const gradients = async (pass: ForwardPass, of: readonly number[]): Promise<Map<string, number[]>> => {
      scope(() => {
        const logits = model.forward(tensor(backend, Int32Array.from(of), [of.length]), pass);
        backward(
          sum(
            crossEntropy(
              logits,
              tensor(
                backend,
                Int32Array.from(of, () => 1),
                [of.length],
              ),
            ),
          ),
        );
      });
      const found = new Map<string, number[]>();
      for (const adapter of [one, two]) {
        for (const [name, param] of adapter.parameters()) {
          if (param.grad !== undefined) found.set(`${adapter.name}:${name}`, Array.from(await param.grad.data()));
          param.grad = undefined;
        }
      }
      return found;
    };
    const mixed = await gradients({ ...still, adapterRows: adapterRows(model, [2, 2, 2], names) }, ids);
    two.setActive(false);
    const first = await gradients(still, [0, 3, 2, 2]);
    two.setActive(true);
    one.setActive(false);
    const second = await gradients(still, [1, 4]);
    const expected = new Map([...first, ...second]);
    expect([...mixed.keys()].toSorted()).toEqual([...expected.keys()].toSorted());
    for (const [name, values] of expected) {
      values.forEach((value, i) => expect(mixed.get(name)![i], name).toBeCloseTo(value, 12));
    }
  });

  it('follows rows that were gathered', () => {
    const rows = adapterRows(model, [2, 1, 3], ['one', undefined, 'two']);
    expect(rows.names).toEqual(['one', 'one', undefined, 'two', 'two', 'two']);
    expect(rows.pick([5, 0, 2]).names).toEqual(['two', 'one', undefined]);
    expect([...rows.of('two')]).toEqual([3, 4, 5]);
  });

  it('refuses other numbers of rows, names that are not there, and replaced weights', async () => {
    await expect(output({ ...still, adapterRows: new AdapterRows(['one']) })).rejects.toThrow(
      expect.objectContaining({ code: 'CORE_SHAPE', message: expect.stringContaining('1 rows') as string }),
    );
    expect(() => adapterRows(model, [3, 3], ['one'])).toThrow(refused('2 sequences'));
    expect(() => adapterRows(model, [6], ['three'])).toThrow(refused("no adapter 'three'"));
    two.setActive(false);
    expect(() => adapterRows(model, [6], ['two'])).toThrow(
      refused("no adapter 'two' is on the model and active; there are one"),
    );
    const whole = await inject(model, shiftConfig(['up'], { modulesToSave: ['norm'] }), { name: 'whole' });
    expect(() => adapterRows(model, [6], ['one'])).toThrow(refused("'whole' has replaced norm.weight"));
    whole.setActive(false);
    expect(adapterRows(model, [6], ['one']).names.length).toBe(6);
  });
});

describe('a snapshot', () => {
  it('brings back the bits, as often as asked, until it is committed', async () => {
    const adapter = await inject(model, shiftConfig(['up', 'down'], { modulesToSave: ['norm'] }));
    const before = await output();
    const snapshot = await adapter.snapshot();
    for (const steps of [2, 5]) {
      train(adapter, steps);
      expect(await output()).not.toEqual(before);
      snapshot.rollback();
      expect(await output()).toEqual(before);
    }
    train(adapter, 2);
    const after = await output();
    expect(snapshot.open).toBe(true);
    snapshot.commit();
    expect(snapshot.open).toBe(false);
    expect(() => snapshot.rollback()).toThrow(refused('committed'));
    expect(await output()).toEqual(after);
  });

  it('with the optimizer gives the same run again', async () => {
    const adapter = await inject(model, shiftConfig(['up', 'down']));
    const optimizer = new AdamW([{ params: adapter.parameters() }], { learningRate: 0.05 });
    steps(optimizer, 3);
    const snapshot = await adapter.snapshot({ optimizer });
    steps(optimizer, 4);
    const first = await output();
    snapshot.rollback();
    steps(optimizer, 4);
    expect(await output()).toEqual(first);
    // Moments that went on give another run.
    const without = await adapter.snapshot();
    steps(optimizer, 4);
    const second = await output();
    without.rollback();
    steps(optimizer, 4);
    expect(await output()).not.toEqual(second);
    optimizer.dispose();
  });
});

function train(adapter: InjectedAdapter, count: number): void {
  const optimizer = new AdamW([{ params: adapter.parameters() }], { learningRate: 0.05 });
  steps(optimizer, count);
  optimizer.dispose();
}

function steps(optimizer: AdamW, count: number): void {
  for (let step = 0; step < count; step++) {
    scope(() => {
      const logits: Tensor = model.forward(tensor(backend, Int32Array.of(0, 3, 1, 4), [4]));
      backward(sum(crossEntropy(logits, tensor(backend, Int32Array.of(1, 2, 0, 3), [4]))));
    });
    optimizer.step();
    optimizer.zeroGrad();
  }
}
