import { reference } from '@lowrank/conformance';
import { loraPlusGroups, Sgd, tensor, type Tensor } from '@lowrank/core';
import { expect, test } from 'vitest';

async function parameters(...names: string[]): Promise<Map<string, Tensor>> {
  const backend = await reference();
  return new Map(
    names.map((name) => {
      const p = tensor(backend, [1], [1]);
      p.requiresGrad = true;
      p.grad = tensor(backend, [1], [1]);
      return [name, p];
    }),
  );
}

test('B learns at the ratio of the learning rate, all else at the learning rate, whatever the schedule says', async () => {
  const params = await parameters('layers.0.q_proj.A', 'layers.0.q_proj.B', 'layers.0.q_proj.magnitude');
  const optimizer = new Sgd(loraPlusGroups(params, 16), { learningRate: 0.01 });
  optimizer.step();
  optimizer.step(0.005);
  const values = await Promise.all([...params.values()].map((p) => p.item()));
  const rates = [0.015, 16 * 0.015, 0.015];
  values.forEach((value, i) => expect(value).toBeCloseTo(1 - rates[i]!, 14));
});

test('one layer’s parameters have no path before them', async () => {
  const groups = loraPlusGroups(await parameters('A', 'B'), 4);
  expect(groups.map(({ params, learningRateScale }) => [[...params.keys()], learningRateScale])).toEqual([
    [['A'], undefined],
    [['B'], 4],
  ]);
});

test('a ratio that is none, and an adapter without B, are refused', async () => {
  const params = await parameters('A', 'B');
  for (const ratio of [0, -1, NaN, Infinity]) {
    expect(() => loraPlusGroups(params, ratio)).toThrow(expect.objectContaining({ code: 'CORE_ARGUMENT' }));
  }
  const without = await parameters('layers.0.lambdaB', 'A');
  expect(() => loraPlusGroups(without, 16)).toThrow(/no parameter B/);
});
