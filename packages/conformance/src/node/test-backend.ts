/** All modes that judge a backend. */
import type { Backend } from '@lowrank/core';
import { backendConformance } from '../backend/backend-conformance.ts';
import type { Errors } from '../backend/compare.ts';
import { allModes, summary, totals } from '../backend/report.ts';
import type { CaseResult, Mode, Report } from '../backend/report.ts';
import { ConformanceError } from '../conformance-error.ts';
import { table } from './output.ts';
import type { Output } from './output.ts';
import { SequentialRunner } from './sequential-runner.ts';

export interface TestOptions {
  readonly modes: readonly Mode[];
  readonly ops: readonly string[] | undefined;
}

/** The number of failures. */
export async function testBackend(
  factory: () => Promise<Backend>,
  { modes, ops }: TestOptions,
  output: Output,
): Promise<number> {
  const kernels = new SequentialRunner();
  const report = backendConformance(kernels, factory, {
    modes,
    ...(ops === undefined ? {} : { ops }),
    onCase: (result) => tellCase(result, output),
  });
  let failed = 0;
  let outside = 0;
  await kernels.run(({ path, error }) => {
    if (error === undefined) return;
    failed++;
    // Failures of cases have been told as such.
    if (totals(report).failed + outside < failed) {
      outside++;
      tellFailure(path, error, output);
    }
  });
  showReport(report, output);
  output.text(summary(report));
  output.event({
    type: 'summary',
    backend: report.backend,
    ...totals(report),
    failed,
    reasons: Object.fromEntries(report.reasons),
  });
  return failed;
}

function tellCase({ mode, op, name, outcome }: CaseResult, output: Output): void {
  const { status } = outcome;
  const { error, ...rest } = { error: undefined, ...outcome };
  output.event({ type: 'case', mode, op, case: name, ...rest, ...(status === 'failed' ? describeError(error) : {}) });
  if (status === 'failed') output.text(`FAILED ${mode} ${messageOf(error)}`);
}

export function tellFailure(path: readonly string[], error: unknown, output: Output): void {
  output.event({ type: 'test', path, status: 'failed', ...describeError(error) });
  output.text(`FAILED ${path.join(' > ')}: ${messageOf(error)}`);
}

function messageOf(error: unknown): string {
  // Of the suite's own errors the message says all.
  if (error instanceof ConformanceError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function describeError(error: unknown): Record<string, unknown> {
  const { code } = error as { code?: unknown };
  const mismatch = error instanceof ConformanceError ? error.mismatch : undefined;
  return { ...(code === undefined ? {} : { code }), message: messageOf(error), ...(mismatch && { mismatch }) };
}

/** A row for each kernel and mode; what was excused as a whole is told by the summary. */
function showReport(report: Report, output: Output): void {
  const rows = allModes.flatMap((mode) =>
    [...report.kernels[mode]]
      .filter(([, { passed, failed }]) => passed + failed > 0)
      .map(([op, row]) => [
        op,
        mode,
        `${row.passed}`,
        `${row.failed}`,
        `${row.skipped}`,
        ...figures(row.errors, row.passed > 0),
      ]),
  );
  const head = ['op', 'mode', 'passed', 'failed', 'excused', 'of bound', 'NMSE', 'max abs', 'max ULP'];
  for (const line of table(head, rows, 2)) output.text(line);
}

function figures({ maxOverBound, nmse, maxAbsolute, maxUlp }: Errors, any: boolean): string[] {
  if (!any) return ['', '', '', ''];
  return [maxOverBound.toFixed(3), nmse.toExponential(1), maxAbsolute.toExponential(1), maxUlp.toPrecision(3)];
}
