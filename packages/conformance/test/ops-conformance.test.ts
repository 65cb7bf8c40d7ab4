/** Core's operations on the reference, and a wrong fused kernel that only its composed form can show to be wrong. */
import { describe, expect, it } from 'vitest';
import { opsConformance } from '@lowrank/conformance';
import { collectingRunner } from './support/collecting-runner.ts';
import { numbersOf, single } from './support/single.ts';
import type { Kernels } from './support/single.ts';

opsConformance({ describe, it });

/** Messages of the failures on a backend of float32 with a mutation. */
async function failuresOf(mutate: (kernels: Kernels) => Partial<Kernels>): Promise<string[]> {
  const { runner, tests } = collectingRunner();
  opsConformance(runner, () => single(mutate));
  const failures: string[] = [];
  for (const { path, run } of tests) {
    await run().catch((error: unknown) => failures.push(`${path.join(' > ')}: ${(error as Error).message}`));
  }
  return failures.filter((failure) => !failure.includes('leaves nothing behind'));
}

it('finds nothing in a right float32 backend', async () => {
  expect(await failuresOf(() => ({}))).toEqual([]);
});

it('finds a fused kernel that is off, in the form that uses it and no other', async () => {
  const failures = await failuresOf((kernels) => ({
    rmsNormBackward(...operands) {
      const dx = kernels.rmsNormBackward(...operands);
      numbersOf(dx)[0]! *= 1 + 1e-4;
      return dx;
    },
  }));
  expect(failures).toHaveLength(2);
  for (const failure of failures) expect(failure).toMatch(/as offered > rmsNorm.*gradient toward input 0/);
});

it('finds a primitive that is off wherever core composes of it', async () => {
  const failures = await failuresOf((kernels) => ({
    reduce(...operands) {
      const y = kernels.reduce(...operands);
      if (operands[0] === 'sum') numbersOf(y)[0]! *= 1 + 1e-4;
      return y;
    },
  }));
  expect(failures.some((failure) => failure.includes('composed of primitives > softmax'))).toBe(true);
});
