/** Small mistakes put into a right backend, one at a time: the suite must notice every one. */
import { backendConformance } from '@lowrank/conformance';
import { fusedKernelNames, primitiveNames } from '@lowrank/core';
import { describe, expect, it } from 'vitest';
import { fusedMutations } from './mutations/fused.ts';
import type { Mutation } from './mutations/mutation.ts';
import { primitiveMutations } from './mutations/primitives.ts';
import { quantizedMutations } from './mutations/quantized.ts';
import { ruleMutations } from './mutations/rules.ts';
import { collectingRunner } from './support/collecting-runner.ts';
import type { Collected } from './support/collecting-runner.ts';
import { single } from './support/single.ts';

/** The suite for the mutated backend. */
function suiteFor({ mutate, change }: Pick<Mutation, 'mutate' | 'change'>): Collected[] {
  const { runner, tests } = collectingRunner();
  backendConformance(runner, async () => {
    const backend = await single(mutate);
    return change?.(backend) ?? backend;
  });
  return tests;
}

/** The messages of those that fail, up to the first that is as it must be. */
async function failuresOf(
  tests: readonly Collected[],
  { message = /./ }: Pick<Mutation, 'message'>,
): Promise<string[]> {
  const failures: string[] = [];
  for (const { run } of tests) {
    await run().catch((error: unknown) => failures.push((error as Error).message));
    if (failures.some((failure) => message.test(failure))) break;
  }
  return failures;
}

const groups = [
  ['primitives', primitiveMutations],
  ['fused kernels', fusedMutations],
  ['quantized kernels', quantizedMutations],
  ['rules', ruleMutations],
] as const;

describe.each(groups)('%s', (_, mutations) => {
  it.each(mutations)('catches: $name', async (mutation) => {
    const tests = suiteFor(mutation);
    const modes = mutation.caughtBy.endsWith('Backward') ? ['against float64', 'against central differences'] : [''];
    for (const mode of modes) {
      const own = tests.filter(({ path }) => path.includes(mutation.caughtBy) && (mode === '' || path.includes(mode)));
      const failures = await failuresOf(own, mutation);
      expect(failures.join('\n'), mode).toMatch(mutation.message ?? /./);
    }
  });
});

it('every kernel has a mistake in the list', () => {
  const broken = new Set(groups.flatMap(([, mutations]) => mutations.map(({ caughtBy }) => caughtBy)));
  expect([...primitiveNames, ...fusedKernelNames].filter((name) => !broken.has(name))).toEqual([]);
});

it('finds nothing in a right float32 backend', async () => {
  const failures: string[] = [];
  for (const { path, run } of suiteFor({})) {
    await run().catch((error: unknown) => failures.push(`${path.join(' > ')}: ${(error as Error).message}`));
  }
  // `single` holds float64, and says so in its bytes.
  expect(failures.filter((failure) => !failure.includes('1000 elements are 8000 bytes'))).toEqual([]);
});
