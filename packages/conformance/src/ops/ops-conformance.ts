import type { Backend } from '@lowrank/core';
import type { Errors } from '../backend/compare.ts';
import { demand } from '../conformance-error.ts';
import { reference } from '../reference/reference.ts';
import type { Runner } from '../runner.ts';
import { opCases } from './cases.ts';
import type { OpCase } from './cases.ts';
import { differentiateOp, judgeOp } from './run-op.ts';
import { withoutFused } from './without-fused.ts';

/** How core computes an operation: with the fused kernels that a backend offers, or of its primitives alone. */
export type OpForm = 'ops' | 'composed';

/**
 * Value and gradients of an operation on a backend, within derived bounds of float64; on a float64 backend its gradients
 * against central differences as well. Nothing may stay in memory.
 */
export async function runOp(whole: Backend, form: OpForm, row: OpCase): Promise<Errors> {
  const backend = form === 'ops' ? whole : withoutFused(whole);
  const before = backend.memory();
  const errors = await judgeOp(backend, row);
  if (backend.supports.precision === 'f64') await differentiateOp(backend, row);
  const left = backend.memory().liveStorages - before.liveStorages;
  demand(left === 0, `${row.name}: ${left} storages are live after forward and backward`);
  return errors;
}

/**
 * Defines the tests of core's differentiable operations on a backend, which `backendConformance` contains: with the fused
 * kernels it offers and composed of its primitives alone. `factory` makes a fresh backend; the suite disposes of it.
 */
export function opsConformance(runner: Runner, factory: () => Promise<Backend> = reference): void {
  let made: Promise<Backend> | undefined;
  const backend = (): Promise<Backend> => (made ??= factory());
  const forms = [
    ['as offered', 'ops'],
    ['composed of primitives', 'composed'],
  ] as const;

  runner.describe('operations conformance', () => {
    for (const [title, form] of forms) {
      runner.describe(title, () => {
        for (const row of opCases) {
          runner.it(row.name, async () => {
            await runOp(await backend(), form, row);
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
