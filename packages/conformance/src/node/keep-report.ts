import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { keptReport } from '../backend/kept-report.ts';
import type { KeptReport } from '../backend/kept-report.ts';
import { summary } from '../backend/report.ts';
import type { Report } from '../backend/report.ts';

/** Where reports are kept, below the working directory. */
export const reportFolder: string = join('node_modules', '.cache', 'lowrank', 'conformance');

/** Writes `<folder>/<name>.json`, whole or not at all. */
export function writeReport(report: KeptReport, folder: string = reportFolder): void {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${report.name.replaceAll(/[^\w.-]+/g, '-')}.json`);
  const part = `${path}.${process.pid}.part`;
  writeFileSync(part, `${JSON.stringify(report, undefined, 1)}\n`);
  renameSync(part, path);
}

/**
 * An `onReport` that prints the summary and writes the report, for a table of several backends to be made of.
 *
 * @param folder Default: `reportFolder`.
 */
export function keepReport(name: string, folder?: string): (report: Report) => void {
  return (report) => {
    process.stdout.write(`${summary({ ...report, backend: name })}\n`);
    writeReport(keptReport(name, report), folder);
  };
}
