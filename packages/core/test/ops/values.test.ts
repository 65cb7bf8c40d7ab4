import {
  add,
  attention,
  cast,
  concat,
  crossEntropy,
  div,
  dropout,
  dropoutMask,
  equal,
  gather,
  less,
  lessEqual,
  logSumExp,
  matmul,
  max,
  maximum,
  mean,
  permute,
  reshape,
  rmsNorm,
  rope,
  scope,
  silu,
  slice,
  softmax,
  sum,
  swiglu,
  tensor,
  where,
  writeSlice,
  type Backend,
  type Tensor,
} from '@lowrank/core';
import { describe, expect, test } from 'vitest';
import { bothWays } from '../support/backends.ts';
import { valuesOf } from '../support/gradient-check.ts';
import { operationCases } from './cases.ts';

const row = async (x: Tensor): Promise<number[]> => Array.from(await x.data());
const near = (found: readonly number[], expected: readonly number[], what = ''): void => {
  expect(found.length, what).toBe(expected.length);
  found.forEach((value, i) =>
    expect(Math.abs(value - expected[i]!), `${what} [${i}]: ${value} for ${expected[i]}`).toBeLessThan(1e-12),
  );
};

describe('composed operations give what the kernels give', () => {
  for (const { name, inputs, f } of operationCases) {
    test(name, async () => {
      const results: number[][] = [];
      for (const { make } of bothWays) {
        const backend = await make();
        const leaves = inputs.map((input, i) => tensor(backend, valuesOf(input, `input ${i}`), input.shape));
        results.push(await row(scope(() => f(backend)(...leaves))));
      }
      near(results[1]!, results[0]!);
    });
  }
});

for (const { name: way, make } of bothWays) {
  describe(`values, ${way}`, () => {
    const on = (claim: string, body: (backend: Backend) => Promise<void>): void => {
      test(claim, async () => body(await make()));
    };
    const ints = (backend: Backend, values: readonly number[]): Tensor =>
      tensor(backend, Int32Array.from(values), [values.length]);

    on('broadcasting aligns shapes from the right', async (backend) => {
      const y = add(tensor(backend, [1, 2, 3], [3]), tensor(backend, [10, 20], [2, 1]));
      expect(y.shape).toEqual([2, 3]);
      near(await row(y), [11, 12, 13, 21, 22, 23]);
    });

    on('comparisons give 1 and 0', async (backend) => {
      const [a, b] = [tensor(backend, [1, 2, 3], [3]), tensor(backend, [2], [])];
      expect(await row(equal(a, b))).toEqual([0, 1, 0]);
      expect(await row(less(a, b))).toEqual([1, 0, 0]);
      expect(await row(lessEqual(a, b))).toEqual([1, 1, 0]);
      expect(await row(where(less(a, b), a, b))).toEqual([1, 2, 2]);
    });

    on('matmul broadcasts a matrix over the other batch', async (backend) => {
      const y = matmul(tensor(backend, [1, 2, 3, 4], [2, 1, 2]), tensor(backend, [1, 0, 2, 1], [2, 2]), {
        transposeB: true,
      });
      expect(y.shape).toEqual([2, 1, 2]);
      near(await row(y), [1, 4, 3, 10]);
    });

    on('permute, slice and concat move elements', async (backend) => {
      const x = tensor(backend, [0, 1, 2, 3, 4, 5], [2, 3]);
      expect(await row(permute(x, [1, 0]))).toEqual([0, 3, 1, 4, 2, 5]);
      expect(await row(slice(x, 1, 1, 2))).toEqual([1, 2, 4, 5]);
      expect(await row(concat([x, slice(x, 1, 0, 1)], -1))).toEqual([0, 1, 2, 0, 3, 4, 5, 3]);
      writeSlice(x, tensor(backend, [7, 8], [1, 2]), [1, 1]);
      expect(await row(x)).toEqual([0, 1, 2, 3, 7, 8]);
    });

    on('casts round to even and toward zero', async (backend) => {
      expect(await row(cast(tensor(backend, [-1.7, 1.7, NaN, 1e10], [4]), 'i32'))).toEqual([-1, 1, 0, 2 ** 31 - 1]);
    });

    on('reductions of rows, and of nothing', async (backend) => {
      const x = tensor(backend, [1, 2, 3, 4, 5, 6], [2, 3]);
      near(await row(sum(x, { axis: 0 })), [5, 7, 9]);
      near(await row(mean(x, { axis: 1 })), [2, 5]);
      near(await row(max(x)), [6]);
      near(await row(sum(tensor(backend, [], [2, 0]), { axis: 1 })), [0, 0]);
    });

    on('softmax and logSumExp survive huge inputs', async (backend) => {
      const x = tensor(backend, [1000, 1000, -1000, 0], [2, 2]);
      near(await row(softmax(x)), [0.5, 0.5, 0, 1]);
      near(await row(logSumExp(x)), [1000 + Math.log(2), 0]);
    });

    on('crossEntropy is -log softmax at the target, 0 where ignored', async (backend) => {
      const y = crossEntropy(tensor(backend, [0, Math.log(3), 5, 6], [2, 2]), ints(backend, [1, -100]));
      near(await row(y), [Math.log(4 / 3), 0]);
    });

    on('rmsNorm, silu and swiglu follow their formulas', async (backend) => {
      const x = tensor(backend, [3, 4], [1, 2]);
      const rms = Math.sqrt(12.5 + 0.1);
      near(await row(rmsNorm(x, tensor(backend, [1, 2], [2]), 0.1)), [3 / rms, 8 / rms]);
      const silu3 = 3 / (1 + Math.exp(-3));
      near(await row(silu(tensor(backend, [3, 0], [2]))), [silu3, 0]);
      near(await row(swiglu(tensor(backend, [3], [1]), tensor(backend, [-2], [1]))), [-2 * silu3]);
    });

    on('rope turns pair i of a head at position p by its angle', async (backend) => {
      const angle = 0.3;
      const [cos, sin] = [Math.cos, Math.sin].map((f) => tensor(backend, [1, f(angle)], [2, 1]));
      const x = tensor(backend, [1, 2, 9, 3, 4, 9], [1, 6]);
      const half = rope(x, { heads: 2, cos: cos!, sin: sin!, positions: ints(backend, [1]), pairing: 'half' });
      const turned = (u: number, v: number): number[] => [
        u * Math.cos(angle) - v * Math.sin(angle),
        u * Math.sin(angle) + v * Math.cos(angle),
      ];
      near(await row(half), [...turned(1, 2), 9, ...turned(3, 4), 9]);
    });

    on('attention is causal and its first query sees one key', async (backend) => {
      const values = [1, 2, 3, 4, 5, 6];
      const v = tensor(backend, values, [3, 2]);
      const zeros = tensor(backend, [0, 0, 0, 0, 0, 0], [3, 2]);
      const y = attention(zeros, zeros, v, { heads: 1, kvHeads: 1, segments: Int32Array.of(0, 3, 0, 3) });
      // Equal scores: each query averages the values so far.
      near(await row(y), [1, 2, 2, 3, 3, 4]);
    });

    on('attention sequences do not see each other', async (backend) => {
      const random = valuesOf({ shape: [4, 2] }, 'x');
      const x = tensor(backend, random, [4, 2]);
      const both = attention(x, x, x, { heads: 1, kvHeads: 1, segments: Int32Array.of(0, 2, 0, 2, 2, 2, 2, 2) });
      const second = slice(x, 0, 2, 2);
      const alone = attention(second, second, second, { heads: 1, kvHeads: 1, segments: Int32Array.of(0, 2, 0, 2) });
      near((await row(both)).slice(4), await row(alone));
    });

    on('dropout keeps what the named mask keeps, scaled', async (backend) => {
      const x = tensor(backend, Array<number>(34).fill(2), [2, 17]);
      const options = { probability: 0.25, key: [5, 6], stream: [7, 8] } as const;
      const mask = dropoutMask(2, 17, 0.25, options.key, options.stream);
      near(
        await row(dropout(x, options)),
        Array.from(mask, (kept) => kept * (2 / 0.75)),
      );
      expect(new Set(mask)).toEqual(new Set([0, 1]));
    });

    on('gather picks rows in any shape', async (backend) => {
      const y = gather(tensor(backend, [0, 1, 2, 3, 4, 5], [3, 2]), reshape(ints(backend, [2, 0]), [2, 1]));
      expect(y.shape).toEqual([2, 1, 2]);
      expect(await row(y)).toEqual([4, 5, 0, 1]);
    });

    on('NaN and infinities are carried', async (backend) => {
      const x = tensor(backend, [NaN, Infinity, 1], [3]);
      expect(await row(maximum(x, tensor(backend, [0], [])))).toEqual([NaN, Infinity, 1]);
      expect(await row(div(x, tensor(backend, [0], [])))).toEqual([NaN, Infinity, Infinity]);
      expect(await row(max(x))).toEqual([NaN]);
      expect(await row(softmax(x))).toEqual([NaN, NaN, NaN]);
    });
  });
}
