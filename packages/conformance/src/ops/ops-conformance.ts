import type { Backend } from '@lowrank/core';
import { demand } from '../conformance-error.ts';
import { reference } from '../reference/reference.ts';
import type { Runner } from '../runner.ts';
import { opCases } from './cases.ts';
import { differentiateOp, judgeOp } from './run-op.ts';
import { withoutFused } from './without-fused.ts';

/**
 * Defines the tests of core's differentiable operations on a backend: with the fused kernels it offers and composed of its
 * primitives alone, forward and gradient, within derived bounds of float64. On a float64 backend the gradients are also
 * held against central differences. `factory` makes a fresh backend; the suite disposes of it.
 */
export function opsConformance(runner: Runner, factory: () => Promise<Backend> = reference): void {
  let made: Promise<Backend> | undefined;
  const backend = (): Promise<Backend> => (made ??= factory());
  const forms = [
    ['as offered', (whole: Backend): Backend => whole],
    ['composed of primitives', withoutFused],
  ] as const;

  runner.describe('operations conformance', () => {
    for (const [form, formOf] of forms) {
      runner.describe(form, () => {
        for (const row of opCases) {
          runner.it(row.name, async () => {
            const tried = formOf(await backend());
            const before = tried.memory();
            await judgeOp(tried, row);
            if (tried.supports.precision === 'f64') await differentiateOp(tried, row);
            const { liveStorages } = tried.memory();
            const left = liveStorages - before.liveStorages;
            demand(left === 0, `${row.name}: ${left} storages are live after forward and backward`);
          });
        }
      });
    }
    runner.it('leaves nothing behind', async () => {
      const whole = await backend();
      const { liveBytes } = whole.memory();
      await whole.dispose();
      demand(liveBytes === 0, `${liveBytes} bytes are live after all operations`);
    });
  });
}
