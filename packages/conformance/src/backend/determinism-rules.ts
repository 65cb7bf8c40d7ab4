import type { Backend } from '@lowrank/core';
import { demand } from '../conformance-error.ts';
import { allCases } from './all-cases.ts';
import { byKernel } from './case.ts';
import type { Case } from './case.ts';
import { evaluate } from './evaluate.ts';
import { sameBits, soil } from './operands.ts';
import type { Rule } from './rules.ts';
import { excuse, resultNames } from './run-case.ts';

/** The same calls give the same bits, in memory used before as in fresh memory, alone and with other work queued. */
export const determinismRules: readonly Rule[] = [
  {
    name: 'every kernel gives the same bits again',
    excuse: ({ supports }) => (supports.deterministic ? undefined : 'supports.deterministic is false'),
    async run(backend) {
      for (const row of samples(backend)) {
        const first = await evaluate(backend, row, row.inputs);
        soil(
          backend,
          first.map((result) => result.length),
        );
        const [second, third] = await Promise.all([
          evaluate(backend, row, row.inputs),
          evaluate(backend, row, row.inputs),
        ]);
        for (const [i, output] of resultNames(row).entries()) {
          const same = sameBits(first[i]!, second[i]!) && sameBits(first[i]!, third[i]!);
          demand(same, `${row.kernel} (${row.name}), ${output}: other bits the second time`);
        }
      }
    },
  },
];

/** For each kernel the three largest cases of at most 100,000 numbers. */
function samples(backend: Backend): Case[] {
  const size = (row: Case): number => row.inputs.reduce((sum, input) => sum + input.data.length, 0);
  const offered = allCases().filter((row) => excuse(backend, row) === undefined && size(row) <= 100_000);
  return [...byKernel(offered).values()].flatMap((rows) => rows.toSorted((a, b) => size(b) - size(a)).slice(0, 3));
}
