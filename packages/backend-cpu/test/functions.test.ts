import type { UnaryOp } from '@lowrank/core';
import type { CpuBackend } from '@lowrank/backend-cpu';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEngines } from './engines.ts';

let backends: CpuBackend[] = [];
beforeAll(async () => {
  backends = await startEngines(2);
});
afterAll(() => Promise.all(backends.map((backend) => backend.dispose())));

/** Every 16,411th float32: all signs and exponents, infinities and NaNs; 16,411 is prime. */
const samples = new Float32Array(Uint32Array.from({ length: Math.floor(2 ** 32 / 16411) }, (_, i) => i * 16411).buffer);

/** The distance of float32 numbers at `value`. */
function ulp(value: number): number {
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(value))));
  return 2 ** (exponent - 23);
}

/**
 * Errors in units in the last place. Each is half for the last rounding, plus: exp 0.6 for the polynomial's own roundings;
 * log the like, more (up to 1.5) where its terms cancel; tanh and sigmoid take exp's result through a sum and a division.
 */
const functions: Record<string, { reference: (x: number) => number; fused: number }> = {
  exp: { reference: Math.exp, fused: 1.1 },
  log: { reference: Math.log, fused: 1 },
  tanh: { reference: Math.tanh, fused: 1.6 },
  sigmoid: { reference: (x) => 1 / (1 + Math.exp(-x)), fused: 2.5 },
};

describe.each(Object.keys(functions))('%s', (name) => {
  const { reference, fused } = functions[name]!;

  it('is within its bound of float64 at 261,712 numbers of all magnitudes', async () => {
    for (const backend of backends) {
      const result = backend.kernels.unary(name as UnaryOp, backend.upload(samples, 'f32'), samples.length);
      const y = await backend.read(result);
      // Rounding twice adds half a unit of each of the last two terms.
      const bound = backend.supports.fusedMultiplyAdd ? fused : fused + 1;
      let worst = { error: 0, x: 0 };
      for (const [i, x] of samples.entries()) {
        const expected = reference(x);
        const rounded = Math.fround(expected);
        if (Object.is(y[i], rounded) || (Number.isNaN(y[i]) && Number.isNaN(rounded))) continue;
        const error =
          Number.isFinite(y[i]) && Number.isFinite(rounded) ? Math.abs(y[i]! - expected) / ulp(expected) : Infinity;
        if (!(error <= worst.error)) worst = { error, x };
      }
      expect(worst.error, `${backend.engine} at ${worst.x}`).toBeLessThanOrEqual(bound);
    }
  });

  it('takes zeros, infinities, NaN and subnormals as IEEE 754 does', async () => {
    const x = Float32Array.from([
      0,
      -0,
      Infinity,
      -Infinity,
      Number.NaN,
      1e-45,
      -1e-45,
      1e-40,
      3.4e38,
      -3.4e38,
      88.8,
      -103.9,
      -104,
    ]);
    const expected = x.map((value) => Math.fround(reference(value)));
    for (const backend of backends) {
      const y = await backend.read(backend.kernels.unary(name as UnaryOp, backend.upload(x, 'f32'), x.length));
      const wrong = [...expected.keys()].filter((i) => {
        const value = expected[i]!;
        if (!Number.isFinite(value) || value === 0) return !Object.is(y[i], value);
        return !(Math.abs(y[i]! - value) <= 3 * ulp(value));
      });
      expect(wrong.map((i) => `${name}(${x[i]}) = ${y[i]}, not ${expected[i]}, on ${backend.engine}`)).toEqual([]);
    }
  });
});
