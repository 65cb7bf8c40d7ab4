/** Runs one case on a backend and on the reference, and compares. */
import type { Backend, Storage, TypedArray } from '@lowrank/core';
import { ConformanceError, demand } from '../conformance-error.ts';
import type { Case, Kernels } from './case.ts';
import { compare, noErrors, worse } from './compare.ts';
import type { Errors } from './compare.ts';
import { expectationOf } from './expectation.ts';
import { sameBits, soil, upload } from './operands.ts';

/** Why the manifest excuses a backend from a case; undefined where it does not. */
export function excuse(
  backend: Backend,
  row: Pick<Case, 'kernel' | 'inputs'> & { nonFinite?: true },
): string | undefined {
  if (!(row.kernel in backend.kernels)) return `kernels has no ${row.kernel}`;
  if (row.nonFinite === true && !backend.supports.nonFinite) return 'supports.nonFinite is false';
  for (const input of row.inputs) {
    if ('format' in input && !backend.supports.blockFormats.includes(input.format)) {
      return `supports.blockFormats has no ${input.format}`;
    }
  }
  return undefined;
}

/**
 * The errors of the case, within bounds. Throws `CONFORMANCE_MISMATCH` for a wrong number and `CONFORMANCE_CONTRACT`
 * for an operand changed that must not be, or memory that is not accounted for.
 */
export async function runCase(backend: Backend, reference: Backend, row: Case): Promise<Errors> {
  const expectation = await expectationOf(reference, row);
  const { expected, alternative } = expectation;
  const { precision } = backend.supports;
  const lengths = expected.map((result) => result.length);
  const got = await evaluateStrictly(backend, row, lengths);
  const tolerance = expectation.tolerance(backend.supports);
  return resultNames(row)
    .map((output, i) => {
      const subject = { kernel: row.kernel, case: row.name, output };
      return compare(subject, got[i]!, expected[i]!, tolerance[i]!, precision, alternative[i]);
    })
    .reduce(worse, noErrors);
}

/** What `run` returns, then what it changes in place. */
export function resultNames(row: Case): string[] {
  return [...row.outputs, ...(row.mutates ?? []).map((i) => row.inputs[i]!.name)];
}

/** `evaluate`, with memory soiled before and everything checked that the interface says of operands and results. */
async function evaluateStrictly(backend: Backend, row: Case, lengths: readonly number[]): Promise<TypedArray[]> {
  const before = backend.memory();
  soil(backend, lengths.slice(0, row.outputs.length));
  const operands = row.inputs.map((input) => upload(backend, input));
  const outputs = row.run(backend.kernels as Kernels, operands);
  assertFresh(row, operands, outputs, lengths);
  const held = backend.memory();
  const bytes = [...operands, ...outputs].reduce((sum, storage) => sum + storage.byteLength, 0);
  demand(
    held.liveStorages - before.liveStorages === operands.length + outputs.length,
    `${row.kernel} (${row.name}): ${held.liveStorages - before.liveStorages} storages are live, not the ${operands.length} operands and ${outputs.length} results`,
  );
  demand(
    held.liveBytes - before.liveBytes === bytes,
    `${row.kernel} (${row.name}): memory() grew by ${held.liveBytes - before.liveBytes} bytes, the storages say ${bytes}`,
  );
  const results = [...outputs, ...(row.mutates ?? []).map((i) => operands[i]!)];
  const values = await Promise.all(results.map((storage) => backend.read(storage)));
  await assertUntouched(backend, row, operands);
  for (const storage of [...operands, ...outputs]) backend.free(storage);
  const after = backend.memory();
  demand(
    after.liveBytes === before.liveBytes && after.liveStorages === before.liveStorages,
    `${row.kernel} (${row.name}): ${after.liveBytes - before.liveBytes} bytes are live after everything was freed`,
  );
  return values;
}

function assertFresh(
  row: Case,
  operands: readonly Storage[],
  outputs: readonly Storage[],
  lengths: readonly number[],
): void {
  demand(outputs.length === row.outputs.length, `${row.kernel} (${row.name}): ${outputs.length} results`);
  demand(
    new Set([...operands, ...outputs]).size === operands.length + outputs.length,
    `${row.kernel} (${row.name}): a result is not fresh storage`,
  );
  for (const [i, storage] of outputs.entries()) {
    demand(
      storage.length === lengths[i],
      `${row.kernel} (${row.name}): ${row.outputs[i]} says length ${storage.length}, not ${lengths[i]}`,
    );
  }
}

/** Operands that a kernel does not change by contract hold the bits that were uploaded. */
async function assertUntouched(backend: Backend, row: Case, operands: readonly Storage[]): Promise<void> {
  for (const [i, input] of row.inputs.entries()) {
    if (row.mutates?.includes(i)) continue;
    const now = await backend.read(operands[i]!);
    if (!sameBits(now, input.data) && !subnormalsMayFlush(row)) {
      const message = `${row.kernel} (${row.name}): operand ${input.name} was changed`;
      throw new ConformanceError('CONFORMANCE_CONTRACT', message, input.name);
    }
  }
}

function subnormalsMayFlush(row: Case): boolean {
  return row.subnormal === true;
}
