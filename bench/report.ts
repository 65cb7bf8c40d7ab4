import { machine } from './machine.ts';

/** One figure, as `--json` writes it (and the machine with it): one JSON object a line. */
export interface Figure {
  /** The benchmark: 'gemm'. */
  readonly name: string;
  /** What was done. */
  readonly case: string;
  /** What did it. */
  readonly subject: string;
  /** The median, where it was measured several times. */
  readonly value: number;
  readonly unit: string;
  /** Of what it is compared with (for gemm the measured peak, elsewhere the peer's figure); null where there is nothing. */
  readonly ratio: number | null;
  /** The smallest and the largest that were measured. */
  readonly spread?: readonly [number, number];
}

export type Line = Figure & { readonly machine: string };

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Median and spread of what was measured several times. */
export function summary(values: readonly number[]): Pick<Figure, 'value' | 'spread'> {
  return { value: median(values), spread: [Math.min(...values), Math.max(...values)] };
}

/** Our figures by the peer's, round by round, and the median of that: a slow minute of the machine cancels out. */
export function medianRatio(ours: readonly number[], peers: readonly number[] | undefined): number | null {
  return peers === undefined ? null : median(ours.map((value, round) => value / peers[round]!));
}

/** '1 thread', '2 threads'. */
export function threadsText(threads: number): string {
  return `${threads} thread${threads === 1 ? '' : 's'}`;
}

/** Writes figures as JSON Lines, or as a table grouped by subject. */
export function print(figures: readonly Figure[], json: boolean): void {
  if (json) {
    const where = machine();
    for (const figure of figures) process.stdout.write(`${JSON.stringify({ ...figure, machine: where })}\n`);
    return;
  }
  let subject = '';
  for (const figure of figures) {
    if (figure.subject !== subject) process.stdout.write(`\n${figure.subject}\n`);
    subject = figure.subject;
    const ratio = figure.ratio === null ? '' : figure.ratio.toFixed(2);
    const [low, high] = figure.spread ?? [];
    const spread = low === undefined || low === high ? '' : `  ${number(low)} to ${number(high!)}`;
    process.stdout.write(
      `  ${figure.case.padEnd(72)}${number(figure.value).padStart(8)} ${figure.unit.padEnd(8)}${ratio.padStart(6)}${spread}\n`,
    );
  }
}

function number(value: number): string {
  if (value === 0 || Math.abs(value) >= 10) return value.toFixed(1);
  return Math.abs(value) >= 1 ? value.toFixed(2) : value.toPrecision(3);
}
