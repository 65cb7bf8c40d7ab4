/** What ran on a backend, and how far it was off. */
import { noErrors, worse } from './compare.ts';
import type { Errors } from './compare.ts';

export interface KernelReport {
  /** Cases that passed. */
  passed: number;
  failed: number;
  /** Cases the manifest excuses. */
  skipped: number;
  /** The worst over the cases that passed. */
  errors: Errors;
}

export type Mode = 'test' | 'grad';

/** Filled while the tests run. */
export interface Report {
  backend: string;
  /** Per mode, by kernel. */
  readonly kernels: Record<Mode, Map<string, KernelReport>>;
  readonly rules: { passed: number; failed: number; skipped: number };
  /** Each reason from the manifest, with the number of cases it excused. */
  readonly reasons: Map<string, number>;
}

export function emptyReport(): Report {
  return {
    backend: '',
    kernels: { test: new Map(), grad: new Map() },
    rules: { passed: 0, failed: 0, skipped: 0 },
    reasons: new Map(),
  };
}

export type Outcome = { passed: Errors } | { failed: true } | { skipped: string };

export function record(report: Report, mode: Mode, kernel: string, outcome: Outcome): void {
  const rows = report.kernels[mode];
  const row = rows.get(kernel) ?? { passed: 0, failed: 0, skipped: 0, errors: noErrors };
  rows.set(kernel, row);
  if ('passed' in outcome) {
    row.passed++;
    row.errors = worse(row.errors, outcome.passed);
  } else if ('failed' in outcome) {
    row.failed++;
  } else {
    row.skipped++;
    report.reasons.set(outcome.skipped, (report.reasons.get(outcome.skipped) ?? 0) + 1);
  }
}

/** One line: "cpu: 812 cases passed, 0 failed; 14 excused by the manifest (supports.nonFinite is false: 14)". */
export function summary(report: Report): string {
  const rows = [...report.kernels.test.values(), ...report.kernels.grad.values(), report.rules];
  const total = (key: 'passed' | 'failed' | 'skipped'): number => rows.reduce((sum, row) => sum + row[key], 0);
  const reasons = [...report.reasons].map(([reason, count]) => `${reason}: ${count}`).join('; ');
  const excused = total('skipped') === 0 ? '' : `; ${total('skipped')} excused by the manifest (${reasons})`;
  return `${report.backend}: ${total('passed')} cases passed, ${total('failed')} failed${excused}`;
}
