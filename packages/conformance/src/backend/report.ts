/** What ran on a backend, and how far it was off. */
import type { Supports } from '@lowrank/core';
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

/**
 * `test`: every kernel against float64. `grad`: every backward kernel against central differences. `ops`: core's operations,
 * value and gradient, with the fused kernels that are offered. `composed`: the same, made of primitives alone.
 */
export type Mode = 'test' | 'grad' | 'ops' | 'composed';

export const allModes: readonly Mode[] = ['test', 'grad', 'ops', 'composed'];

/** How one case ended. */
export interface CaseResult {
  readonly mode: Mode | 'rules';
  /** The kernel or operation; `'rules'` for a rule. */
  readonly op: string;
  readonly name: string;
  readonly outcome: Outcome;
}

/** Filled while the tests run. */
export interface Report {
  backend: string;
  /** The manifest; there when the last test is done. */
  supports: Supports | undefined;
  /** What it runs on, where the backend tells: `device`, a text beside the members of the interface. */
  device: string | undefined;
  /** Per mode, by kernel or operation. */
  readonly kernels: Record<Mode, Map<string, KernelReport>>;
  readonly rules: { passed: number; failed: number; skipped: number };
  /** Each reason from the manifest, with the number of cases it excused. */
  readonly reasons: Map<string, number>;
}

export function emptyReport(): Report {
  return {
    backend: '',
    supports: undefined,
    device: undefined,
    kernels: { test: new Map(), grad: new Map(), ops: new Map(), composed: new Map() },
    rules: { passed: 0, failed: 0, skipped: 0 },
    reasons: new Map(),
  };
}

export type Outcome =
  | { readonly status: 'passed'; readonly errors: Errors }
  | { readonly status: 'failed'; readonly error: unknown }
  /** Excused by the manifest. */
  | { readonly status: 'skipped'; readonly reason: string };

export function record(report: Report, { mode, op, outcome }: CaseResult): void {
  if (mode === 'rules') {
    report.rules[outcome.status]++;
  } else {
    const row = kernelRow(report.kernels[mode], op);
    row[outcome.status]++;
    if (outcome.status === 'passed') row.errors = worse(row.errors, outcome.errors);
  }
  if (outcome.status === 'skipped') {
    report.reasons.set(outcome.reason, (report.reasons.get(outcome.reason) ?? 0) + 1);
  }
}

function kernelRow(rows: Map<string, KernelReport>, kernel: string): KernelReport {
  const row = rows.get(kernel) ?? { passed: 0, failed: 0, skipped: 0, errors: noErrors };
  rows.set(kernel, row);
  return row;
}

/** Cases that passed, failed and were excused, over all modes and rules. */
export function totals(report: Report): { passed: number; failed: number; skipped: number } {
  const rows = [...allModes.flatMap((mode) => [...report.kernels[mode].values()]), report.rules];
  const total = (key: 'passed' | 'failed' | 'skipped'): number => rows.reduce((sum, row) => sum + row[key], 0);
  return { passed: total('passed'), failed: total('failed'), skipped: total('skipped') };
}

/** One line: "cpu: 812 cases passed, 0 failed; 14 excused by the manifest (supports.nonFinite is false: 14)". */
export function summary(report: Report): string {
  const { passed, failed, skipped } = totals(report);
  const reasons = [...report.reasons].map(([reason, count]) => `${reason}: ${count}`).join('; ');
  const excused = skipped === 0 ? '' : `; ${skipped} excused by the manifest (${reasons})`;
  return `${report.backend}: ${passed} cases passed, ${failed} failed${excused}`;
}
