import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { allModes, summary } from '../backend/report.ts';
import type { KernelReport, Mode, Report } from '../backend/report.ts';

/** Where reports are kept, below the working directory. */
export const reportFolder: string = join('node_modules', '.cache', 'lowrank', 'conformance');

/** A report as it is kept: `Report`, its maps as objects. */
export interface KeptReport {
  /** `'cpu:native'`: which row of a table it is. */
  readonly name: string;
  /** What the numbers depend on beside the code, where they do: `'SwiftShader Device (LLVM 10.0.0)'`. */
  readonly device?: string;
  readonly kernels: Readonly<Record<Mode, Readonly<Record<string, KernelReport>>>>;
  readonly rules: Report['rules'];
  readonly reasons: Readonly<Record<string, number>>;
}

export function toKept(name: string, report: Report, device?: string): KeptReport {
  const kernels = Object.fromEntries(
    allModes.map((mode) => [mode, Object.fromEntries(report.kernels[mode])]),
  ) as KeptReport['kernels'];
  const { rules } = report;
  return {
    name,
    ...(device === undefined ? {} : { device }),
    kernels,
    rules,
    reasons: Object.fromEntries(report.reasons),
  };
}

/**
 * An `onReport` that prints the summary and writes the report to `<folder>/<name>.json`, for a table of several
 * backends to be made of.
 */
export function keepReport(
  name: string,
  { folder = reportFolder, device }: { readonly folder?: string; readonly device?: () => string | undefined } = {},
): (report: Report) => void {
  return (report) => {
    process.stdout.write(`${summary({ ...report, backend: name })}\n`);
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `${name.replaceAll(/[^\w.-]+/g, '-')}.json`);
    const part = `${path}.${process.pid}.part`;
    writeFileSync(part, `${JSON.stringify(toKept(name, report, device?.()), undefined, 1)}\n`);
    renameSync(part, path);
  };
}
