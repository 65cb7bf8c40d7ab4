import type { Backend, TypedArray } from '@lowrank/core';
import type { Case, Input, Kernels } from './case.ts';
import { upload } from './operands.ts';

/** The case's results. */
export async function evaluate(backend: Backend, row: Case, inputs: readonly Input[]): Promise<TypedArray[]> {
  const operands = inputs.map((input) => upload(backend, input));
  const outputs = row.run(backend.kernels as Kernels, operands);
  const results = [...outputs, ...(row.mutates ?? []).map((i) => operands[i]!)];
  const values = await Promise.all(results.map((storage) => backend.read(storage)));
  for (const storage of [...operands, ...outputs]) backend.free(storage);
  return values;
}
