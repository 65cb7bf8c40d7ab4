import { AdapterError } from '@lowrank/core';
import type { Adapter, AdapterConfig, Backend, ConfiguredAdapter, Site } from '@lowrank/core';
import { demand } from '../conformance-error.ts';
import { reference } from '../reference/reference.ts';
import type { Runner } from '../runner.ts';
import type { AdapterReport } from './adapter-report.ts';
import { withRig, type Trial } from './rig.ts';
import { configRules, demandRefused } from './rules/config.ts';
import { adapterRules } from './rules/index.ts';
import type { AdapterRule, Start } from './rules/rule.ts';
import { testLayers } from './test-layers.ts';

/** A configuration to try. */
export interface ConfigUnderTest {
  /** As a user writes it. Its target modules do not matter: the suite has layers of its own. */
  readonly config: Readonly<Record<string, unknown>>;
  /** How the output starts. Default `'exact'`: with the base's very numbers. */
  readonly start?: Start;
}

export interface AdapterConformanceOptions<Config extends AdapterConfig> {
  readonly adapter: Adapter<Config>;
  /** By name. */
  readonly configs: Readonly<Record<string, ConfigUnderTest>>;
  /** Makers of fresh backends by name; the suite disposes of them. Default: the float64 reference, with and without fused kernels. */
  readonly backends?: Readonly<Record<string, () => Promise<Backend>>>;
  /** Where the adapter can sit. Default: linear layers and embeddings. */
  readonly kinds?: readonly Site['kind'][];
  /** Configurations that must be refused, each with the path of the field at fault. */
  readonly badConfigs?: readonly (readonly [config: unknown, path: string])[];
  /** Called when the last test is done: print `adapterSummary(report)`. */
  readonly onReport?: (report: AdapterReport) => void;
}

const references: Readonly<Record<string, () => Promise<Backend>>> = {
  reference: () => reference(),
  'reference, primitives only': () => reference({ fused: false, blockFormats: [] }),
};

/**
 * Defines the tests of an adapter: each claim of `adapterRules`, for each configuration, on each backend, on layers of odd
 * sizes and quantized bases. A claim is left out only where a manifest or the adapter's own word says so, or where `setup`
 * refuses the layer with `ADAPTER_SITE`.
 */
export function adapterConformance<Config extends AdapterConfig>(
  runner: Runner,
  options: AdapterConformanceOptions<Config>,
): AdapterReport {
  // The suite passes configurations back to the adapter and never looks inside.
  const adapter = options.adapter as unknown as Adapter;
  const report: AdapterReport = { adapter: adapter.type, passed: 0, failed: 0, overBound: 0, reasons: new Map() };
  const define = (name: string, body: () => Promise<void>): void => {
    runner.it(name, async () => {
      try {
        await body();
        report.passed++;
      } catch (error) {
        report.failed++;
        throw error;
      }
    });
  };
  const backends = Object.entries(options.backends ?? references);
  runner.describe(`adapter conformance: ${adapter.type}`, () => {
    runner.describe('configuration', () => defineConfigTests(define, adapter, options));
    for (const [i, [name, factory]] of backends.entries()) {
      const last = i === backends.length - 1;
      runner.describe(`on ${name}`, () =>
        defineBackendTests(runner, define, { ...options, adapter }, factory, report, last),
      );
    }
  });
  return report;
}

type Define = (name: string, body: () => Promise<void>) => void;

function defineConfigTests(
  define: Define,
  adapter: Adapter,
  options: Pick<AdapterConformanceOptions<AdapterConfig>, 'configs' | 'badConfigs'>,
): void {
  for (const [name, { config }] of Object.entries(options.configs)) {
    for (const rule of configRules) {
      define(`${name}: ${rule.name}`, async () => rule.run({ adapter, config: adapter.parseConfig(config) }));
    }
  }
  for (const [config, path] of options.badConfigs ?? []) {
    define(`refuses ${describeConfig(config)}, naming ${path}`, async () =>
      demandRefused(adapter.type, () => adapter.parseConfig(config), path),
    );
  }
}

/** As JSON, but NaN and its like by name. */
function describeConfig(config: unknown): string {
  return JSON.stringify(config, (_, value: unknown) =>
    typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
  );
}

function defineBackendTests(
  runner: Runner,
  define: Define,
  { adapter, configs, kinds = ['linear', 'embedding'], onReport }: AdapterConformanceOptions<AdapterConfig>,
  factory: () => Promise<Backend>,
  report: AdapterReport,
  last: boolean,
): void {
  let made: Promise<Backend> | undefined;
  const shared = (): Promise<Backend> => (made ??= factory());
  for (const [name, { config, start = 'exact' }] of Object.entries(configs)) {
    let trials: Promise<readonly Candidate[]> | undefined;
    const candidates = async (): Promise<readonly Candidate[]> =>
      findCandidates({ adapter, config: adapter.parseConfig(config) }, await shared(), kinds, (overBound) => {
        report.overBound = Math.max(report.overBound, overBound);
      });
    runner.describe(name, () => {
      for (const rule of adapterRules) {
        define(rule.name, async () => {
          for (const candidate of await (trials ??= candidates())) await tryRule(rule, candidate, start, report);
        });
      }
    });
  }
  runner.it('leaves nothing behind', async () => {
    const backend = await shared();
    await backend.sync();
    const { liveBytes, liveStorages } = backend.memory();
    await backend.dispose();
    if (last) onReport?.(report);
    // After a failure its operands may still be live: that failure is told there.
    demand(
      report.failed > 0 || (liveBytes === 0 && liveStorages === 0),
      `${liveBytes} bytes in ${liveStorages} storages are live after all tests`,
    );
  });
}

/** A layer to try the adapter on, and what it says where it refuses it. */
interface Candidate {
  readonly trial: Trial;
  readonly refusal: string | undefined;
}

async function findCandidates(
  configured: ConfiguredAdapter,
  backend: Backend,
  kinds: readonly Site['kind'][],
  note: (overBound: number) => void,
): Promise<Candidate[]> {
  const trials = testLayers
    .filter(({ kind }) => kinds.includes(kind))
    .map((row) => ({ configured, row, backend, note }));
  return Promise.all(trials.map(async (trial) => ({ trial, refusal: await refusalOf(trial) })));
}

async function tryRule(
  rule: AdapterRule,
  { trial, refusal }: Candidate,
  start: Start,
  report: AdapterReport,
): Promise<void> {
  const reason = rule.excuse?.(trial, start) ?? refusal;
  if (reason === undefined) await rule.run(trial, start);
  else report.reasons.set(reason, (report.reasons.get(reason) ?? 0) + 1);
}

/** An adapter may refuse a layer, where a rank does not fit; but not the one of usual sizes. */
async function refusalOf(trial: Trial): Promise<string | undefined> {
  try {
    await withRig(trial, {}, () => Promise.resolve());
    return undefined;
  } catch (error) {
    if (!(error instanceof AdapterError) || error.code !== 'ADAPTER_SITE' || trial.row.usual === true) throw error;
    return `setup refuses the layer ${trial.row.name}: ${error.message}`;
  }
}
