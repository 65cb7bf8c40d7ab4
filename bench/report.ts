/** One figure, as `--json` writes it: one JSON object a line. */
export interface Figure {
  /** The benchmark: 'gemm'. */
  readonly name: string;
  /** What was done. */
  readonly case: string;
  /** What did it. */
  readonly subject: string;
  readonly value: number;
  readonly unit: string;
  /** Of what it is compared with (for gemm the measured peak); null where there is nothing. */
  readonly ratio: number | null;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Writes figures as JSON Lines, or as a table grouped by subject. */
export function print(figures: readonly Figure[], json: boolean): void {
  if (json) {
    for (const figure of figures) process.stdout.write(`${JSON.stringify(figure)}\n`);
    return;
  }
  let subject = '';
  for (const figure of figures) {
    if (figure.subject !== subject) process.stdout.write(`\n${figure.subject}\n`);
    subject = figure.subject;
    const ratio = figure.ratio === null ? '' : figure.ratio.toFixed(2);
    process.stdout.write(
      `  ${figure.case.padEnd(44)}${figure.value.toFixed(1).padStart(8)} ${figure.unit.padEnd(8)}${ratio.padStart(6)}\n`,
    );
  }
}
