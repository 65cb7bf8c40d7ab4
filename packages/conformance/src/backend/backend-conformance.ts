import type { Backend } from '@lowrank/core';
import { demand } from '../conformance-error.ts';
import { reference as makeReference } from '../reference/reference.ts';
import { opCases } from '../ops/cases.ts';
import { runOp } from '../ops/ops-conformance.ts';
import type { OpForm } from '../ops/ops-conformance.ts';
import type { Runner } from '../runner.ts';
import { byKernel } from './case.ts';
import type { Case, GradientCase } from './case.ts';
import { allCases, allGradients } from './all-cases.ts';
import { noErrors } from './compare.ts';
import type { Errors } from './compare.ts';
import { determinismRules } from './determinism-rules.ts';
import { manifestRules } from './manifest-rules.ts';
import { allModes, emptyReport, record, totals } from './report.ts';
import type { CaseResult, Mode, Report } from './report.ts';
import type { Rule } from './rules.ts';
import { excuse, runCase } from './run-case.ts';
import { runGradient } from './run-gradient.ts';
import { storageRules } from './storage-rules.ts';

export interface BackendConformanceOptions {
  /** What to run, besides the rules of storage and manifest. Default: everything. */
  readonly modes?: readonly Mode[];
  /** Kernels to run the cases of; rules and operations are then left out. Default: all. */
  readonly ops?: readonly string[];
  /** Called after each case. */
  readonly onCase?: (result: CaseResult) => void;
  /** Called when the last test is done: print `summary(report)`, or keep it (`keepReport` of `@lowrank/conformance/node`). */
  readonly onReport?: (report: Report) => unknown;
}

/**
 * Defines the tests of a backend: every kernel against the float64 reference, every gradient against central
 * differences, and the rules of storage, order and memory. `factory` makes a fresh backend; the suite disposes of it.
 * A case is left out only where the manifest (`supports`, `kernels`) says so. The report fills while the tests run.
 */
export function backendConformance(
  runner: Runner,
  factory: () => Promise<Backend>,
  options: BackendConformanceOptions = {},
): Report {
  const report = emptyReport();
  const modes = options.modes ?? allModes;
  const { ops } = options;
  const chosen = <Row extends { readonly kernel: string }>(rows: readonly Row[]): readonly Row[] =>
    ops === undefined ? rows : rows.filter(({ kernel }) => ops.includes(kernel));
  const note = (result: CaseResult): void => {
    record(report, result);
    options.onCase?.(result);
  };
  const shared = lazily(async () => ({ backend: await factory(), reference: await makeReference() }));

  runner.describe('backend conformance', () => {
    if (ops === undefined) {
      runner.describe('rules', () => {
        for (const rule of [...manifestRules, ...storageRules, ...determinismRules]) {
          runner.it(rule.name, () => runRule(rule, factory, note));
        }
      });
    }
    if (modes.includes('test')) {
      describeKernels(runner, 'against float64', chosen(allCases()), async (row: Case) => {
        const { backend, reference } = await shared.get();
        await judge(note, 'test', backend, row, () => runCase(backend, reference, row));
      });
    }
    if (modes.includes('grad')) {
      describeKernels(runner, 'against central differences', chosen(allGradients()), async (row: GradientCase) => {
        const { backend, reference } = await shared.get();
        await judge(note, 'grad', backend, row, () => runGradient(backend, reference, row));
      });
    }
    if (ops === undefined) {
      for (const form of ['ops', 'composed'] as const) {
        if (modes.includes(form)) describeOps(runner, form, () => shared.get(), note);
      }
    }
    runner.it('leaves nothing behind', async () => {
      const { backend } = await shared.get();
      report.backend = backend.name;
      report.supports = backend.supports;
      report.device = deviceOf(backend);
      await backend.sync();
      const { liveBytes, liveStorages } = backend.memory();
      const clean = liveBytes === 0 && liveStorages === 0;
      await backend.dispose();
      await options.onReport?.(report);
      // After a failed case its operands are still live: that failure is told there.
      const failures = totals(report).failed > 0;
      demand(clean || failures, `${liveBytes} bytes in ${liveStorages} storages are live after all cases`);
    });
  });
  return report;
}

function describeOps(
  runner: Runner,
  form: OpForm,
  shared: () => Promise<{ backend: Backend }>,
  note: (result: CaseResult) => void,
): void {
  runner.describe(form === 'ops' ? 'operations as offered' : 'operations of primitives alone', () => {
    for (const row of opCases) {
      runner.it(row.name, async () => {
        const { backend } = await shared();
        await tell(note, { mode: form, op: row.name.split(',')[0]!, name: row.name }, () => runOp(backend, form, row));
      });
    }
  });
}

async function judge(
  note: (result: CaseResult) => void,
  mode: Mode,
  backend: Backend,
  row: Pick<Case, 'kernel' | 'name' | 'inputs'> & { nonFinite?: true },
  run: () => ReturnType<typeof runCase>,
): Promise<void> {
  const reason = excuse(backend, row);
  const subject = { mode, op: row.kernel, name: row.name };
  if (reason === undefined) await tell(note, subject, run);
  else note({ ...subject, outcome: { status: 'skipped', reason } });
}

/** Notes how `run` ends. */
async function tell(
  note: (result: CaseResult) => void,
  subject: Omit<CaseResult, 'outcome'>,
  run: () => Promise<Errors>,
): Promise<void> {
  try {
    note({ ...subject, outcome: { status: 'passed', errors: await run() } });
  } catch (error) {
    note({ ...subject, outcome: { status: 'failed', error } });
    throw error;
  }
}

/** A describe for each kernel, an it for each case. */
function describeKernels<Row extends { readonly kernel: string; readonly name: string }>(
  runner: Runner,
  title: string,
  rows: readonly Row[],
  run: (row: Row) => Promise<void>,
): void {
  runner.describe(title, () => {
    for (const [kernel, own] of byKernel(rows)) {
      runner.describe(kernel, () => {
        for (const row of own) runner.it(row.name, () => run(row));
      });
    }
  });
}

async function runRule(rule: Rule, factory: () => Promise<Backend>, note: (result: CaseResult) => void): Promise<void> {
  const subject = { mode: 'rules', op: 'rules', name: rule.name } as const;
  const backend = await factory();
  try {
    const reason = rule.excuse?.(backend);
    if (reason === undefined) await tell(note, subject, () => rule.run(backend).then(() => noErrors));
    else note({ ...subject, outcome: { status: 'skipped', reason } });
  } finally {
    if (rule.disposes !== true) await backend.dispose();
  }
}

/** Its name for what it runs on: no part of the interface, but what errors may depend on. */
function deviceOf(backend: Backend): string | undefined {
  const { device } = backend as { readonly device?: unknown };
  return typeof device === 'string' ? device : undefined;
}

/** Made on first use, once. */
function lazily<T>(make: () => Promise<T>): { get(): Promise<T> } {
  let made: Promise<T> | undefined;
  return { get: () => (made ??= make()) };
}
