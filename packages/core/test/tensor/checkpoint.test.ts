import {
  add,
  backward,
  checkpoint,
  dropout,
  matmul,
  mul,
  scope,
  sum,
  tanh,
  tensor,
  type Backend,
  type Tensor,
} from '@lowrank/core';
import { describe, expect, test } from 'vitest';
import { bothWays } from '../support/backends.ts';
import { valuesOf } from '../support/gradient-check.ts';

const WIDTH = 24;
const ROWS = 40;
const LAYERS = 4;

/** A stack of blocks, each with dropout and two nonlinear steps. */
function stack(backend: Backend, checkpointed: boolean): { run: () => Tensor; x: Tensor; weights: Tensor[] } {
  const make = (name: string, shape: readonly number[]): Tensor => {
    const made = tensor(backend, valuesOf({ shape }, name), shape);
    made.requiresGrad = true;
    return made;
  };
  const x = make('x', [ROWS, WIDTH]);
  const weights = Array.from({ length: LAYERS }, (_, i) => make(`w${i}`, [WIDTH, WIDTH]));
  const block = (h: Tensor, weight: Tensor, i: number): Tensor => {
    const kept = dropout(h, { probability: 0.1, key: [1, 0], stream: [i, 0] });
    return add(h, mul(tanh(matmul(kept, weight)), tanh(kept)));
  };
  const run = (): Tensor => {
    let h = x;
    weights.forEach((weight, i) => {
      h = checkpointed ? checkpoint((y) => block(y, weight, i), h, { parameters: [weight] }) : block(h, weight, i);
    });
    return sum(h);
  };
  return { run, x, weights };
}

describe('activation checkpointing', () => {
  for (const { name, make } of bothWays) {
    test(`gives the same bits with less memory at the peak (${name})`, async () => {
      const results: { loss: number; gradients: number[][]; peak: number; left: number }[] = [];
      for (const checkpointed of [false, true]) {
        const backend = await make();
        const { run, x, weights } = stack(backend, checkpointed);
        const start = backend.memory().liveBytes;
        backend.resetPeak();
        const loss = scope(run);
        backward(loss);
        const peak = backend.memory().peakBytes - start;
        const value = await loss.item();
        loss.dispose();
        const gradients: number[][] = [];
        for (const each of [x, ...weights]) {
          gradients.push(Array.from(await each.grad!.data()));
          each.grad = undefined;
        }
        results.push({ loss: value, gradients, peak, left: backend.memory().liveBytes - start });
      }
      const [plain, saved] = results as [(typeof results)[0], (typeof results)[0]];
      expect(saved.loss).toBe(plain.loss);
      expect(saved.gradients).toEqual(plain.gradients);
      expect([plain.left, saved.left]).toEqual([0, 0]);
      // Plain: each block keeps at least its input and three intermediates. Checkpointed: its input, and one block's rest.
      const activation = ROWS * WIDTH * 8;
      expect(plain.peak).toBeGreaterThan(LAYERS * 4 * activation);
      expect(saved.peak).toBeLessThan(plain.peak * 0.75);
    });
  }

  test('a frozen input gets no gradient, parameters inside still do', async () => {
    const backend = await bothWays[0]!.make();
    const { x, weights } = stack(backend, true);
    x.requiresGrad = false;
    const [weight] = weights as [Tensor];
    const loss = scope(() => sum(checkpoint((y) => matmul(y, weight), x, { parameters: [weight] })));
    backward(loss);
    expect(x.grad).toBeUndefined();
    expect(weight.grad?.shape).toEqual([WIDTH, WIDTH]);
  });

  test('constants are held for the second run, even when their scope is gone', async () => {
    const backend = await bothWays[0]!.make();
    const x = tensor(backend, [1, 2], [2]);
    x.requiresGrad = true;
    const loss = scope(() => {
      const factor = tensor(backend, [3, 4], [2]);
      return sum(checkpoint((y, [held]) => mul(mul(y, y), held!), x, { constants: [factor] }));
    });
    backward(loss);
    expect(Array.from(await x.grad!.data())).toEqual([6, 16]);
    loss.dispose();
    x.grad = undefined;
    expect(backend.memory().liveStorages).toBe(1);
  });

  test('nothing is recorded where nothing is trained', async () => {
    const backend = await bothWays[0]!.make();
    const y = checkpoint((h) => mul(h, h), tensor(backend, [2], [1]));
    expect(y.requiresGrad).toBe(false);
    expect(await y.item()).toBe(4);
  });
});
