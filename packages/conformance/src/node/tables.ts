/** Modes `perf` and `support`: what is measured and what is said, not judged. */
import type { Backend } from '@lowrank/core';
import { timeKernels } from '../backend/perf.ts';
import type { Timing } from '../backend/perf.ts';
import { supportOf } from '../backend/support.ts';
import { table } from './output.ts';
import type { Output } from './output.ts';

export async function showPerf(backend: Backend, ops: readonly string[] | undefined, output: Output): Promise<void> {
  const timings: Timing[] = [];
  await timeKernels(backend, ops, (timing) => {
    timings.push(timing);
    output.event({ type: 'perf', backend: backend.name, ...timing });
  });
  const rows = timings.map((row) => [
    row.op,
    row.name,
    row.milliseconds.toPrecision(3),
    row.gigabytesPerSecond.toPrecision(3),
    row.gigaflops?.toPrecision(3) ?? '',
    `${row.rounds} x ${row.calls}`,
  ]);
  for (const line of table(['op', 'case', 'ms', 'GB/s', 'GFLOP/s', 'calls'], rows, 2)) output.text(line);
  output.text(`${backend.name}: median of rounds; GB/s counts operands and results once each`);
}

export function showSupport(backend: Backend, ops: readonly string[] | undefined, output: Output): void {
  const rows = supportOf(backend, ops);
  for (const row of rows) output.event({ type: 'support', backend: backend.name, ...row });
  const { blockFormats, ...rest } = backend.supports;
  output.event({ type: 'manifest', backend: backend.name, blockFormats, ...rest });
  const cells = rows.map((row) => [row.op, row.kind, row.support, `${row.cases}`, `${row.excused}`]);
  for (const line of table(['op', 'kind', 'support', 'cases', 'excused'], cells, 3)) output.text(line);
  output.text(`${backend.name}: block formats ${blockFormats.join(', ') || 'none'}`);
  for (const [key, value] of Object.entries(rest)) output.text(`  ${key}: ${value}`);
}
