import type { UnaryOp } from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { engines, start } from './engines.ts';

/** Every 16,411th float32: all signs and exponents, infinities and NaNs; 16,411 is prime. */
const samples = new Float32Array(Uint32Array.from({ length: Math.floor(2 ** 32 / 16411) }, (_, i) => i * 16411).buffer);
const SMALLEST_NORMAL = 2 ** -126;

/** The distance of float32 numbers at `value`. */
function ulp(value: number): number {
  return 2 ** (Math.max(-126, Math.floor(Math.log2(Math.abs(value)))) - 23);
}

/**
 * The engines' worst errors in units in the last place. cpu computes in float64 and rounds once; libtensorflow has Eigen's
 * rational functions (its tanh is off by up to 5), WebAssembly XNNPACK's and musl's. All are within what the conformance
 * suite allows, which is what WGSL does.
 */
const functions: Record<string, { of: (x: number) => number; node: number; wasm: number; cpu: number }> = {
  exp: { of: Math.exp, node: 2, wasm: 1, cpu: 0.501 },
  log: { of: Math.log, node: 3, wasm: 1, cpu: 0.501 },
  tanh: { of: Math.tanh, node: 6, wasm: 3, cpu: 0.501 },
  sigmoid: { of: (x) => 1 / (1 + Math.exp(-x)), node: 3, wasm: 4, cpu: 0.501 },
  sqrt: { of: Math.sqrt, node: 0.501, wasm: 0.501, cpu: 0.501 },
  reciprocal: { of: (x) => 1 / x, node: 0.501, wasm: 0.501, cpu: 0.501 },
};

describe.each(engines)('%s', (engine) => {
  it.each(Object.entries(functions))(
    '%s is within its bound of float64 at 261,712 numbers of all magnitudes',
    async (name, row) => {
      await using backend = await start(engine);
      const x = backend.upload(samples, 'f32');
      const y = await backend.read(backend.kernels.unary(name as UnaryOp, x, samples.length));
      let worst = { error: 0, x: 0, y: 0 };
      for (const [i, x] of samples.entries()) {
        const expected = row.of(x);
        const rounded = Math.fround(expected);
        // Subnormal numbers may be taken for zeros.
        if (Math.abs(x) < SMALLEST_NORMAL || Math.abs(rounded) < SMALLEST_NORMAL) continue;
        if (y[i] === rounded || (Number.isNaN(y[i]) && Number.isNaN(rounded))) continue;
        const finite = Number.isFinite(y[i]) && Number.isFinite(rounded);
        const error = finite ? Math.abs(y[i]! - expected) / ulp(expected) : Number.POSITIVE_INFINITY;
        if (error > worst.error) worst = { error, x, y: y[i]! };
      }
      expect(worst.error, `${name}(${worst.x}) = ${worst.y}`).toBeLessThanOrEqual(row[engine]);
    },
  );
});
