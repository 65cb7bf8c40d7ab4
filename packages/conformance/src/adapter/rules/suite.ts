import type { Backend, ConfiguredAdapter, Site } from '@lowrank/core';
import { demand } from '../../conformance-error.ts';
import { reference } from '../../reference/reference.ts';
import type { Runner } from '../../runner.ts';
import { configRules } from './config.ts';
import { adapterRules } from './index.ts';
import type { AdapterRule, Start } from './rule.ts';
import { testLayers } from '../test-layers.ts';

export interface AdapterSubject {
  readonly configured: ConfiguredAdapter;
  readonly start?: Start;
  readonly kinds?: readonly Site['kind'][];
}
export interface AdapterConformanceOptions {
  readonly subjects: Readonly<Record<string, AdapterSubject>>;
  readonly backends?: Readonly<Record<string, () => Promise<Backend>>>;
}
const references: Readonly<Record<string, () => Promise<Backend>>> = {
  reference: () => reference(),
  'reference, primitives only': () => reference({ fused: false, blockFormats: [] }),
};
export function suite(runner: Runner, { subjects, backends = references }: AdapterConformanceOptions): void {
  for (const [name, { configured }] of Object.entries(subjects)) {
    runner.describe(`configuration ${name}`, () => {
      for (const rule of configRules) runner.it(rule.name, async () => rule.run(configured));
    });
  }
  for (const [name, factory] of Object.entries(backends)) runner.describe(`on ${name}`, () => describeBackend(runner, subjects, factory));
}
function describeBackend(runner: Runner, subjects: AdapterConformanceOptions['subjects'], factory: () => Promise<Backend>): void {
  let made: Promise<Backend> | undefined;
  const shared = (): Promise<Backend> => (made ??= factory());
  let failed = false;
  for (const [name, subject] of Object.entries(subjects)) {
    runner.describe(name, () => {
      for (const rule of adapterRules) {
        runner.it(rule.name, async () => {
          try {
            await tryRule(rule, subject, await shared());
          } catch (error) {
            failed = true;
            throw error;
          }
        });
      }
    });
  }
  runner.it('leaves nothing behind', async () => {
    const backend = await shared();
    await backend.sync();
    const { liveBytes, liveStorages } = backend.memory();
    await backend.dispose();
    demand(failed || (liveBytes === 0 && liveStorages === 0), `${liveBytes} bytes in ${liveStorages} storages are live after all tests`);
  });
}
async function tryRule(rule: AdapterRule, { configured, start = 'exact', kinds = ['linear', 'embedding'] }: AdapterSubject, backend: Backend): Promise<void> {
  for (const row of testLayers) {
    const trial = { configured, row, backend };
    if (kinds.includes(row.kind) && rule.excuse?.(trial, start) === undefined) await rule.run(trial, start);
  }
}
