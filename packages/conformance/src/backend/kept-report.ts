import type { Supports } from '@lowrank/core';
import { allModes } from './report.ts';
import type { KernelReport, Mode, Report } from './report.ts';

/** A report as plain data: what JSON can carry, out of a browser or into a file. */
export interface KeptReport {
  /** `'cpu:native'`: which backend, and how it was made. */
  readonly name: string;
  /** What it ran on, where the backend tells. */
  readonly device?: string;
  readonly supports: Supports;
  /** Per mode, by kernel or operation. */
  readonly kernels: Readonly<Record<Mode, Readonly<Record<string, KernelReport>>>>;
  readonly rules: Report['rules'];
  readonly reasons: Readonly<Record<string, number>>;
}

/** Of a report whose tests have run. */
export function keptReport(name: string, report: Report): KeptReport {
  const kernels = Object.fromEntries(
    allModes.map((mode) => [mode, Object.fromEntries(report.kernels[mode])]),
  ) as KeptReport['kernels'];
  const { device, supports, rules } = report;
  return {
    name,
    ...(device === undefined ? {} : { device }),
    supports: supports!,
    kernels,
    rules,
    reasons: Object.fromEntries(report.reasons),
  };
}
