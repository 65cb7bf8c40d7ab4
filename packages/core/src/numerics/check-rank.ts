import { CoreError } from '../errors/core-error.ts';

/** @throws CoreError CORE_ARGUMENT for a rank that a matrix [rows, columns] cannot have. */
export function checkRank(what: string, rank: number, rows: number, columns: number): void {
  const most = Math.min(rows, columns);
  if (Number.isInteger(rank) && rank >= 1 && rank <= most) return;
  throw new CoreError(
    'CORE_ARGUMENT',
    `${what}: a matrix [${rows}, ${columns}] has ranks from 1 to ${most}, not ${rank}`,
    { value: rank },
  );
}
