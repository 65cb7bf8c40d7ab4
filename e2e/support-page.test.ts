/** docs/support.md: what it says of a report, and when it is stale. */
import { reference, backendConformance, keptReport, type KeptReport } from '@lowrank/conformance';
import { beforeAll, describe, expect, it } from 'vitest';
import { columns } from '../scripts/support/columns.mjs';
import { factsOf, powerUp, roundUp } from '../scripts/support/facts.mjs';
import type { Facts } from '../scripts/support/facts.mjs';
import { pageOf } from '../scripts/support/page.mjs';
import { differences } from '../scripts/support/staleness.mjs';

/** A report of the primitives-only reference on a few kernels. */
async function report(name: string): Promise<KeptReport> {
  const tests: (() => Promise<void>)[] = [];
  const runner = {
    describe: (_: string, body: () => void) => body(),
    it: (_: string, run: () => Promise<void>) => void tests.push(run),
  };
  const filled = backendConformance(runner, () => reference({ fused: false }), {
    ops: ['cast', 'silu', 'matmulQuantized'],
  });
  for (const run of tests) await run();
  return keptReport(name, filled);
}

describe('numbers are rounded up', () => {
  it.each([
    [0.0123, 0.02],
    [0.02, 0.02],
    [0.95, 1],
    [1, 1],
    [0, 0],
  ])('%d to one digit: %d', (value, rounded) => expect(roundUp(value)).toBe(rounded));

  it.each([
    [3e-13, 1e-12],
    [1e-12, 1e-12],
    [0, 0],
  ])('%d to a power of ten: %d', (value, rounded) => expect(powerUp(value)).toBe(rounded));
});

describe('the page', () => {
  let facts: Facts[];
  beforeAll(async () => {
    const kept = await report('any');
    facts = columns.map(({ name }) => factsOf({ ...kept, name }));
  });

  /** The facts of one column changed. */
  const changed = (name: string, change: (column: Facts) => Partial<Facts>): Facts[] =>
    facts.map((column) => (column.name === name ? { ...column, ...change(column) } : column));
  const worse = (column: Facts): Partial<Facts> => ({
    kernels: { ...column.kernels, cast: { ...column.kernels['cast']!, ofBound: 1 } },
  });

  it('says what a backend has, what core composes in its place, and the errors of both', () => {
    const { kernels, manifest } = facts[0]!;
    expect(kernels['cast']).toMatchObject({ support: 'yes', cases: 16 });
    expect(kernels['silu']?.support).toBe('composed');
    expect(manifest).toMatchObject({ precision: 'f64', 'block formats': '' });
    const page = pageOf(facts);
    expect(page).toMatch(/^\| cast +\| +0 \|/m);
    expect(page).toMatch(/^\| matmulQuantized +\| +\(-\) \|/m);
    for (const { name } of columns) expect(page).toContain(` ${name} |`);
  });

  it('is up to date with what it was made of', () => {
    expect(differences(facts, facts)).toEqual([]);
  });

  it('is stale where a backend did not run, or is new', () => {
    const without = facts.filter(({ name }) => name !== 'webgpu');
    expect(differences(facts, without)).toEqual(['webgpu: no report; its conformance tests did not run to their end']);
    expect(differences(without, facts)).toEqual(['webgpu: measured, but not on the page']);
  });

  it('is stale where a kernel, the number of cases or the manifest differ', () => {
    const cases = changed('webgpu', ({ kernels }) => ({
      kernels: { ...kernels, cast: { ...kernels['cast']!, cases: 17 } },
    }));
    const support = changed('webgpu', ({ kernels }) => ({
      kernels: { ...kernels, silu: { ...kernels['silu']!, support: 'yes' } },
    }));
    const manifest = changed('webgpu', (column) => ({ manifest: { ...column.manifest, deterministic: false } }));
    for (const run of [cases, support, manifest]) expect(differences(facts, run)).toHaveLength(1);
    expect(differences(facts, cases)[0]).toBe('webgpu, cast: yes, 16 cases on the page, yes, 17 cases measured');
  });

  it('is stale where an error differs that is the same on every machine', () => {
    expect(differences(facts, changed('cpu:native', worse))).toEqual([expect.stringContaining('cpu:native, cast: ')]);
  });

  it('may differ in errors that depend on the device, but not on the same one', () => {
    expect(differences(facts, changed('webgpu', worse))).toEqual([]);
    const here = changed('webgpu', () => ({ device: 'software' }));
    const there = changed('webgpu', (column) => ({ ...worse(column), device: 'software' }));
    expect(differences(here, there)).toHaveLength(1);
  });
});
