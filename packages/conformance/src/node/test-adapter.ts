/** Mode `test` on an adapter. */
import type { Adapter } from '@lowrank/core';
import { adapterConformance } from '../adapter/adapter-conformance.ts';
import { adapterSummary } from '../adapter/adapter-report.ts';
import type { Start } from '../adapter/rules/rule.ts';
import type { Output } from './output.ts';
import { SequentialRunner } from './sequential-runner.ts';
import { tellFailure } from './test-backend.ts';

/** On the float64 reference, with and without fused kernels; gives the number of failures. */
export async function testAdapter(
  adapter: Adapter,
  config: Readonly<Record<string, unknown>>,
  start: Start,
  output: Output,
): Promise<number> {
  const runner = new SequentialRunner();
  const report = adapterConformance(runner, { adapter, configs: { given: { config, start } } });
  let failed = 0;
  await runner.run(({ path, error }) => {
    if (error !== undefined) {
      failed++;
      tellFailure(path, error, output);
      return;
    }
    output.event({ type: 'test', path, status: 'passed' });
    output.text(`passed ${path.slice(1).join(' > ')}`);
  });
  output.text(adapterSummary(report));
  output.event({ type: 'summary', ...report, failed, reasons: Object.fromEntries(report.reasons) });
  return failed;
}
