/** What `compare.ts` measures, and the table that is made of it. */

/** One way to fine-tune, measured. */
export interface Measured {
  /** `--adapter` of `lowrank train`. */
  readonly adapter: string;
  readonly trainableParameters: number;
  /** Share of held-out answers that are right to the letter; null where a task has many right answers. */
  readonly exactMatch: number | null;
  /** On the held-out data. */
  readonly lossBefore: number;
  readonly lossAfter: number;
  /** Read by the model in training. */
  readonly tokensPerSecond: number;
  /** Of the training process, base model and all. */
  readonly peakMemoryBytes: number;
}

export interface Comparison {
  readonly model: string;
  readonly backend: string;
  readonly device: string;
  readonly heldOut: number;
  readonly steps: number;
  /** Options of `lowrank train` that all had. */
  readonly settings: readonly string[];
  readonly measured: readonly Measured[];
}

const names: Readonly<Record<string, string>> = {
  lora: 'LoRA',
  dora: 'DoRA',
  qlora: 'QLoRA (NF4)',
  qdora: 'QDoRA (NF4)',
};

const percent = (share: number | null): string => (share === null ? '-' : `${Math.round(share * 100)} %`);

/** A Markdown table, a row for each adapter, padded as the formatter pads it. */
export function comparisonTable({ measured }: Comparison): string {
  const head = ['', 'trainable', 'exact match', 'loss before', 'loss after', 'tokens a second', 'peak memory'];
  const rows = measured.map((row) => [
    names[row.adapter] ?? row.adapter,
    row.trainableParameters.toLocaleString('en'),
    percent(row.exactMatch),
    row.lossBefore.toFixed(3),
    row.lossAfter.toFixed(3),
    row.tokensPerSecond.toFixed(0),
    `${(row.peakMemoryBytes / 1e6).toFixed(0)} MB`,
  ]);
  const widths = head.map((title, i) => Math.max(3, title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`;
  const rule = `| ${widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [line(head), rule, ...rows.map(line)].join('\n');
}

/** The section of a page that the measurement is told in. */
export function comparisonText(comparison: Comparison): string {
  const { model, backend, device, heldOut, steps, settings } = comparison;
  return [
    `\`lowrank train -m ${model} ${settings.join(' ')}\` with each \`--adapter\`, ${steps} steps; loss and exact match on ${heldOut} held-out examples, ${backend} (${device}).`,
    comparisonTable(comparison),
  ].join('\n\n');
}

const begin = '<!-- comparison: made by npm run compare -w examples/orders -->';
const end = '<!-- end of comparison -->';

/**
 * The page with what stands between its two marks replaced.
 * @throws Error when the page has no such place.
 */
export function withComparison(page: string, comparison: Comparison): string {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page has no place between ${begin} and ${end}`);
  return `${page.slice(0, from + begin.length)}\n\n${comparisonText(comparison)}\n\n${page.slice(to)}`;
}
