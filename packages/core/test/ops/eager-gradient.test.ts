import { backward, eagerGradient, exp, matmul, mul, scale, scope, sum, tensor, type Tensor } from '@lowrank/core';
import { describe, expect, test } from 'vitest';
import { bothWays } from '../support/backends.ts';
import { checkGradients, valuesOf } from '../support/gradient-check.ts';

describe('a gradient found at once', () => {
  for (const { name, make } of bothWays) {
    test(`is that of the body, times what comes from behind (${name})`, async () => {
      await checkGradients(await make(), [{ shape: [2, 3] }], (x) =>
        scale(
          eagerGradient((y) => sum(mul(exp(y), y)), mul(x, x)),
          -3,
        ),
      );
    });
  }

  test('keeps one gradient toward x, and not the wide output behind it', async () => {
    const backend = await bothWays[0]!.make();
    const x = tensor(backend, valuesOf({ shape: [4, 2] }, 'x'), [4, 2]);
    x.requiresGrad = true;
    const head = tensor(backend, valuesOf({ shape: [2, 1000] }, 'head'), [2, 1000]);
    const before = backend.memory().liveBytes;
    const loss = scope(() => eagerGradient((y) => sum(exp(matmul(y, head))), x));
    // The loss, and the gradient of x's size.
    expect(backend.memory().liveBytes - before).toBe(8 + 8 * 8);
    expect(x.grad).toBeUndefined();
    backward(loss);
    const eager = Array.from(await x.grad!.data());
    x.grad = undefined;
    const plain = scope(() => sum(exp(matmul(x, head))));
    expect(backend.memory().liveBytes - before).toBeGreaterThan(4 * 1000 * 8);
    backward(plain);
    expect(eager).toEqual(Array.from(await x.grad!.data()));
    for (const each of [loss, plain]) each.dispose();
    x.grad = undefined;
    expect(backend.memory().liveBytes).toBe(before);
  });

  test('is not found where nothing is trained', async () => {
    const backend = await bothWays[0]!.make();
    const x = tensor(backend, [1, 2], [2]);
    const seen: Tensor[] = [];
    const y = eagerGradient((leaf) => {
      seen.push(leaf);
      return sum(leaf);
    }, x);
    expect(seen.map(({ requiresGrad }) => requiresGrad)).toEqual([false]);
    expect(await y.item()).toBe(3);
  });
});
