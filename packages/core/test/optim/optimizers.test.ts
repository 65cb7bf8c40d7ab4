import {
  Adam,
  AdamW,
  noGrad,
  Sgd,
  sub,
  tensor,
  type HostArray,
  type Optimizer,
  type ParameterGroup,
  type Tensor,
} from '@lowrank/core';
import { describe, expect, test } from 'vitest';
import { bothWays } from '../support/backends.ts';
import { valuesOf } from '../support/gradient-check.ts';

const SIZE = 6;
const STEPS = 12;
const start = valuesOf({ shape: [SIZE] }, 'parameter');
/** Gradients of one step: a function of the step alone, so that formulas below stay open. */
const gradientAt = (step: number): Float64Array => valuesOf({ shape: [SIZE] }, `gradient ${step}`);
const rateAt = (step: number): number => 0.1 / (1 + step);

/**
 * The update rules as PyTorch documents them (torch.optim.SGD, Adam, AdamW), for one number, written out once more:
 * the state is whatever the rule keeps.
 */
type Rule = (p: number, g: number, lr: number, t: number, state: Record<string, number>) => number;
const adam = (p: number, g: number, lr: number, t: number, s: Record<string, number>): number => {
  s['m'] = 0.9 * (s['m'] ?? 0) + 0.1 * g;
  s['v'] = 0.999 * (s['v'] ?? 0) + 0.001 * g ** 2;
  return p - (lr * (s['m'] / (1 - 0.9 ** t))) / (Math.sqrt(s['v'] / (1 - 0.999 ** t)) + 1e-8);
};
const rules: { name: string; make: (groups: ParameterGroup[]) => Optimizer; rule: Rule }[] = [
  { name: 'SGD', make: (groups) => new Sgd(groups, { learningRate: 1 }), rule: (p, g, lr) => p - lr * g },
  {
    name: 'SGD with momentum and weight decay',
    make: (groups) => new Sgd(groups, { learningRate: 1, momentum: 0.9, weightDecay: 0.02 }),
    rule: (p, g, lr, t, s) => {
      const d = g + 0.02 * p;
      s['b'] = t === 1 ? d : 0.9 * s['b']! + d;
      return p - lr * s['b'];
    },
  },
  {
    name: 'SGD with Nesterov momentum',
    make: (groups) => new Sgd(groups, { learningRate: 1, momentum: 0.8, nesterov: true }),
    rule: (p, g, lr, t, s) => {
      s['b'] = t === 1 ? g : 0.8 * s['b']! + g;
      return p - lr * (g + 0.8 * s['b']);
    },
  },
  { name: 'Adam', make: (groups) => new Adam(groups, { learningRate: 1 }), rule: adam },
  {
    name: 'Adam with L2 regularisation',
    make: (groups) => new Adam(groups, { learningRate: 1, weightDecay: 0.05 }),
    rule: (p, g, lr, t, s) => adam(p, g + 0.05 * p, lr, t, s),
  },
  {
    name: 'AdamW',
    make: (groups) => new AdamW(groups, { learningRate: 1, weightDecay: 0.05 }),
    rule: (p, g, lr, t, s) => adam(p * (1 - lr * 0.05), g, lr, t, s),
  },
];

for (const { name: way, make: makeBackend } of bothWays) {
  describe(`optimizers, ${way}`, () => {
    const parameter = async (): Promise<Tensor> => {
      const p = tensor(await makeBackend(), start, [SIZE]);
      p.requiresGrad = true;
      return p;
    };
    const stepOnce = (optimizer: Optimizer, p: Tensor, step: number): void => {
      p.grad = tensor(p.backend, gradientAt(step), [SIZE]);
      optimizer.step(rateAt(step));
    };

    for (const { name, make, rule } of rules) {
      test(`${name} follows its formula`, async () => {
        const p = await parameter();
        const optimizer = make([{ params: new Map([['p', p]]) }]);
        const expected = Float64Array.from(start);
        const states = Array.from(expected, () => ({}));
        for (let step = 0; step < STEPS; step++) {
          stepOnce(optimizer, p, step);
          const gradient = gradientAt(step);
          const rate = rateAt(step);
          states.forEach((state, i) => (expected[i] = rule(expected[i]!, gradient[i]!, rate, step + 1, state)));
        }
        const found = await p.data();
        // A dozen roundings a step on numbers below 2.
        expected.forEach((value, i) => expect(Math.abs(found[i]! - value)).toBeLessThan(STEPS * 24 * 2 ** -52));
      });

      test(`${name} goes on from its saved state with the same bits`, async () => {
        const results: number[][] = [];
        const left: number[] = [];
        for (const interrupted of [false, true]) {
          let p = await parameter();
          let optimizer = make([{ params: new Map([['p', p]]) }]);
          for (let step = 0; step < STEPS; step++) {
            if (interrupted && step === 5) {
              const state = await optimizer.state();
              const values = await p.data();
              optimizer.dispose();
              p.dispose();
              left.push(p.backend.memory().liveStorages);
              p = tensor(await makeBackend(), values, [SIZE]);
              p.requiresGrad = true;
              optimizer = make([{ params: new Map([['p', p]]) }]);
              optimizer.load(state);
            }
            stepOnce(optimizer, p, step);
          }
          results.push(Array.from(await p.data()));
        }
        expect(results[1]).toEqual(results[0]);
        expect(left).toEqual([0]);
      });

      test(`${name} leaves no memory behind, and tells that the parameter changed`, async () => {
        const p = await parameter();
        const optimizer = make([{ params: new Map([['p', p]]) }]);
        const { version } = p;
        const live = p.backend.memory().liveBytes;
        stepOnce(optimizer, p, 0);
        optimizer.zeroGrad();
        expect(p.grad).toBeUndefined();
        expect(p.backend.memory().liveBytes).toBe(live);
        expect(p.version).toBeGreaterThan(version);
        expect(p.requiresGrad).toBe(true);
        optimizer.dispose();
        expect(p.backend.memory().liveStorages).toBe(1);
      });
    }

    for (const { name, make } of rules) {
      test(`${name} goes by gradients times a scale on the device, which stay as they are`, async () => {
        const results: number[][] = [];
        for (const factor of [1, 0.25]) {
          const p = await parameter();
          const optimizer = make([{ params: new Map([['p', p]]) }]);
          for (let step = 0; step < 3; step++) {
            const values = gradientAt(step).map((value) => value / factor);
            p.grad = tensor(p.backend, values, [SIZE]);
            const gradientScale = tensor(p.backend, [factor], []);
            optimizer.step(rateAt(step), gradientScale);
            expect(await gradientScale.item()).toBe(factor);
            expect(await p.grad.data()).toEqual(values);
          }
          results.push(Array.from(await p.data()));
        }
        // A quarter is exact.
        expect(results[1]).toEqual(results[0]);
      });
    }

    test('many parameters take the steps, and have the state, that each has alone', async () => {
      const sizes = [5, 16, 1, 0, 33];
      const backend = await makeBackend();
      const all = sizes.map((size, i) => {
        const p = tensor(backend, valuesOf({ shape: [size] }, `of many ${i}`), [size]);
        p.requiresGrad = true;
        return p;
      });
      const alone = all.map((p, i) => {
        const copy = tensor(backend, valuesOf({ shape: p.shape }, `of many ${i}`), p.shape);
        copy.requiresGrad = true;
        return copy;
      });
      const named = (params: readonly Tensor[]): Map<string, Tensor> => new Map(params.map((p, i) => [`p${i}`, p]));
      const options = { learningRate: 0.1, weightDecay: 0.05 };
      const together = new AdamW(
        [{ params: named(all.slice(0, 2)) }, { params: new Map([...named(all)].slice(2)) }],
        options,
      );
      const each = alone.map((p, i) => new AdamW([{ params: new Map([[`p${i}`, p]]) }], options));
      for (let step = 0; step < 3; step++) {
        for (const params of [all, alone]) {
          for (const [i, p] of params.entries()) {
            const gradient = valuesOf({ shape: p.shape }, `of many ${i}, ${step}`);
            // The second has no gradient in the second step.
            p.grad = i === 1 && step === 1 ? undefined : tensor(backend, gradient, p.shape);
          }
        }
        together.step();
        for (const one of each) one.step();
      }
      for (const [i, p] of all.entries()) expect(await p.data()).toEqual(await alone[i]!.data());
      const { arrays } = await together.state();
      for (const one of each) {
        for (const [name, array] of (await one.state()).arrays) expect(arrays.get(name), name).toEqual(array);
      }
      expect(arrays.size).toBe(2 * sizes.length);
    });

    test('groups have their own learning rate, scale and weight decay', async () => {
      const backend = await makeBackend();
      const make = (): Tensor => {
        const p = tensor(backend, [1], [1]);
        p.requiresGrad = true;
        p.grad = tensor(backend, [1], [1]);
        return p;
      };
      const [a, b, c, d] = [make(), make(), make(), make()];
      const groups: ParameterGroup[] = [
        { params: new Map([['a', a]]) },
        { params: new Map([['b', b]]), learningRateScale: 16 },
        { params: new Map([['c', c]]), learningRate: 0.02 },
        { params: new Map([['d', d]]), weightDecay: 0.5 },
      ];
      const optimizer = new Sgd(groups, { learningRate: 0.01 });
      expect([...optimizer.parameters.keys()]).toEqual(['a', 'b', 'c', 'd']);
      // The schedule has halved the rate: every group's.
      optimizer.step(0.005);
      const found = await Promise.all([a, b, c, d].map(async (p) => p.item()));
      [1 - 0.005, 1 - 0.08, 1 - 0.01, 1 - 0.005 * 1.5].forEach((value, i) => expect(found[i]).toBeCloseTo(value, 14));
    });

    test('a parameter without gradient stays as it is', async () => {
      const p = await parameter();
      const optimizer = new AdamW([{ params: new Map([['p', p]]) }], { learningRate: 1, weightDecay: 0.1 });
      optimizer.step();
      expect(Array.from(await p.data())).toEqual(Array.from(start));
    });
  });
}

test('the fused and the composed AdamW agree', async () => {
  const results: Float64Array[] = [];
  for (const { make } of bothWays) {
    const p = tensor(await make(), start, [SIZE]);
    p.requiresGrad = true;
    const optimizer = new AdamW([{ params: new Map([['p', p]]) }], { learningRate: 0.1 });
    for (let step = 0; step < STEPS; step++) {
      p.grad = tensor(p.backend, gradientAt(step), [SIZE]);
      optimizer.step();
    }
    results.push((await p.data()) as Float64Array);
  }
  results[0]!.forEach((value, i) => expect(Math.abs(value - results[1]![i]!)).toBeLessThan(STEPS * 24 * 2 ** -52));
});

describe('an optimizer refuses', () => {
  const group = async (requiresGrad = true): Promise<ParameterGroup> => {
    const p = tensor(await bothWays[0]!.make(), [1, 2], [2]);
    p.requiresGrad = requiresGrad;
    return { params: new Map([['p', p]]) };
  };
  const coded = (code: string, message: string): unknown =>
    expect.objectContaining({ code, message: expect.stringContaining(message) as string });

  test('nothing to train, what is frozen, and what is given twice', async () => {
    expect(() => new Sgd([], { learningRate: 1 })).toThrow(coded('CORE_ARGUMENT', 'nothing to train'));
    const frozen = await group(false);
    expect(() => new Sgd([frozen], { learningRate: 1 })).toThrow(coded('CORE_ARGUMENT', 'p is not trainable'));
    const twice = await group();
    expect(() => new Sgd([twice, twice], { learningRate: 1 })).toThrow(coded('CORE_ARGUMENT', 'p is given twice'));
    const [p] = [...twice.params.values()];
    expect(() => new Sgd([twice, { params: new Map([['q', p!]]) }], { learningRate: 1 })).toThrow(
      coded('CORE_ARGUMENT', 'q is given twice'),
    );
  });

  test('the result of an operation as parameter', async () => {
    const { params } = await group();
    const made = sub(
      params.get('p')!,
      noGrad(() => params.get('p')!.detach()),
    );
    expect(() => new Sgd([{ params: new Map([['made', made]]) }], { learningRate: 1 })).toThrow(
      coded('CORE_ARGUMENT', 'made'),
    );
  });

  test.each([
    ['learningRate', { learningRate: -1 }],
    ['learningRate', { learningRate: NaN }],
    ['weightDecay', { learningRate: 1, weightDecay: -1 }],
    ['beta1', { learningRate: 1, beta1: 1 }],
    ['beta2', { learningRate: 1, beta2: -0.1 }],
    ['epsilon', { learningRate: 1, epsilon: 0 }],
  ])('a wrong %s', async (name, options) => {
    const groups = [await group()];
    expect(() => new AdamW(groups, options)).toThrow(coded('CORE_ARGUMENT', name));
  });

  test('Nesterov without momentum', async () => {
    const groups = [await group()];
    expect(() => new Sgd(groups, { learningRate: 1, nesterov: true })).toThrow(coded('CORE_ARGUMENT', 'momentum'));
  });

  test('a state that is not its own, and stays as it was', async () => {
    const optimizer = new AdamW([await group()], { learningRate: 1 });
    const arrays = async (): Promise<Map<string, HostArray>> => new Map((await optimizer.state()).arrays);
    const missing = await arrays();
    missing.delete('secondMoment/p');
    expect(() => optimizer.load({ step: 3, arrays: missing })).toThrow(coded('CORE_STATE', 'secondMoment/p'));
    const extra = (await arrays()).set('firstMoment/q', { format: 'f32', shape: [1], data: new Float32Array(1) });
    expect(() => optimizer.load({ step: 3, arrays: extra })).toThrow(coded('CORE_STATE', 'firstMoment/q'));
    const reshaped = (await arrays()).set('firstMoment/p', { format: 'f32', shape: [1, 2], data: new Float32Array(2) });
    expect(() => optimizer.load({ step: 3, arrays: reshaped })).toThrow(coded('CORE_STATE', '[1, 2]'));
    const typed = (await arrays()).set('firstMoment/p', { format: 'i32', shape: [2], data: new Int32Array(2) });
    expect(() => optimizer.load({ step: 3, arrays: typed })).toThrow(coded('CORE_STATE', 'i32'));
    const whole = await arrays();
    expect(() => optimizer.load({ step: 0.5, arrays: whole })).toThrow(coded('CORE_STATE', '0.5'));
    expect((await optimizer.state()).step).toBe(0);
  });
});
