/** What the command writes: lines of JSON, or text and tables. */
export interface Output {
  readonly json: boolean;
  /** One event: a line of JSON where that is asked for, nothing else. */
  event(event: Readonly<Record<string, unknown>>): void;
  /** A line of text, not with `--json`. */
  text(line: string): void;
}

export function makeOutput(json: boolean, write: (text: string) => void): Output {
  return {
    json,
    event: (event) => {
      if (json) write(`${JSON.stringify(event)}\n`);
    },
    text: (line) => {
      if (!json) write(`${line}\n`);
    },
  };
}

/** Columns as wide as their widest cell; all but the first to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[], left = 1): string[] {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column < left ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd();
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)];
}
