import { reference } from '@lowrank/conformance';
import { cpu } from '@lowrank/backend-cpu';
import type { Tensor } from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import type { CausalLmConfig } from '../../src/causal-lm/index.ts';
import { RopeTables } from '../../src/causal-lm/rope-tables.ts';

const config = { ropeBase: 10_000, ropeDimensions: 16, ropeScale: 1, contextLength: 2048 } as CausalLmConfig;

/**
 * The angle itself is rounded: relative errors of 2^-52 in the frequency (exp, log and a division, each within two units) and
 * the product, so at position p at most 8 p 2^-53; sine and cosine have slope 1 at most; then one rounding to f32, 2^-25.
 */
const bound = (position: number): number => 2 ** -25 + 8 * position * 2 ** -53 + 2 ** -52;

async function rows({ cos, sin }: { cos: Tensor; sin: Tensor }): Promise<[cos: number, sin: number][]> {
  const [c, s] = [await cos.data(), await sin.data()];
  return Array.from(c, (value, i) => [value, s[i]!]);
}

describe('rotary tables', () => {
  it.each([
    ['as they are', config, undefined],
    ['scaled linearly', { ...config, ropeScale: 4 }, undefined],
    ["divided by Llama 3's factors", config, [1, 1, 1, 1.5, 3, 8, 8, 8]],
  ] as const)('%s are the cosines and sines of position * base^(-2i/d), rounded to f32', async (_, sizes, factors) => {
    const backend = await reference();
    const tables = new RopeTables(backend, sizes, factors);
    const found = await rows(tables.upTo(600));
    const pairs = sizes.ropeDimensions / 2;
    for (const [at, [cos, sin]] of found.entries()) {
      const [position, i] = [Math.floor(at / pairs), at % pairs];
      const frequency = sizes.ropeBase ** ((-2 * i) / sizes.ropeDimensions) / sizes.ropeScale / (factors?.[i] ?? 1);
      const angle = position * frequency;
      expect(Math.abs(cos - Math.cos(angle))).toBeLessThanOrEqual(bound(position));
      expect(Math.abs(sin - Math.sin(angle))).toBeLessThanOrEqual(bound(position));
    }
    tables.dispose();
    await backend.dispose();
  });

  it('grow as longer sequences come, hold the same numbers then, and free the tables before', async () => {
    const backend = await cpu({ engine: 'native', threads: 1 });
    const tables = new RopeTables(backend, config);
    const short = tables.upTo(10);
    const before = await rows(short);
    expect(short.cos.shape[0]).toBeGreaterThanOrEqual(10);
    expect(tables.upTo(short.cos.shape[0]!)).toBe(short);
    const long = tables.upTo(short.cos.shape[0]! + 1);
    expect(long.cos.shape[0]).toBeGreaterThan(short.cos.shape[0]!);
    expect((await rows(long)).slice(0, before.length)).toEqual(before);
    expect(backend.memory().liveStorages).toBe(2);
    // Not beyond what the model was made for, unless asked to.
    expect(tables.upTo(2048).cos.shape[0]).toBe(2048);
    expect(tables.upTo(2049).cos.shape[0]).toBe(2049);
    tables.dispose();
    expect(backend.memory().liveStorages).toBe(0);
    await backend.dispose();
  });
});
