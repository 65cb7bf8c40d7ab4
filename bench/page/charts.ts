import { parse as parseVega, View } from 'vega';
import { compile, type TopLevelSpec } from 'vega-lite';
import { threadsOf, withoutThreads } from './lines.ts';
import type { Line } from '../report.ts';

/** A picture of some figures of one unit. */
export interface Chart {
  readonly file: string;
  readonly title: string;
  readonly kind: 'bars' | 'lines';
  /** The figure's case in the picture; undefined where it is not in it. */
  label(line: Line): string | undefined;
}

const suffix =
  (name: string, unit: string, text: string) =>
  (line: Line): string | undefined =>
    line.name === name && line.unit === unit && line.case.endsWith(text)
      ? line.case.slice(0, line.case.length - text.length)
      : undefined;

const products = ['matrix', 'layer forward', 'layer backward', 'layer weight', 'layer q4_1', 'layer nf4', ' up '];

export const charts: readonly Chart[] = [
  ...[1, 2].map((threads): Chart => ({
    file: `gemm-${threads}.svg`,
    title: `Matrix products, GFLOP/s, ${threads} thread${threads === 1 ? '' : 's'}`,
    kind: 'bars',
    label: (line) =>
      line.name === 'gemm' &&
      line.unit === 'GFLOP/s' &&
      threadsOf(line) === threads &&
      products.some((name) => line.case.includes(name))
        ? line.case
        : undefined,
  })),
  {
    file: 'train.svg',
    title: 'Training, tokens a second',
    kind: 'bars',
    label: onMostThreads(suffix('train', 'tokens/s', '')),
  },
  {
    file: 'train-memory.svg',
    title: 'Training, peak memory in GB',
    kind: 'bars',
    label: onMostThreads(suffix('train', 'GB', ', peak memory')),
  },
  {
    file: 'chat.svg',
    title: 'The demo, seconds to the same validation loss',
    kind: 'bars',
    label: suffix('chat', 's', ', time to the same validation loss'),
  },
  {
    file: 'decode.svg',
    title: 'Generation, tokens a second',
    kind: 'bars',
    label: onMostThreads(suffix('generate', 'tokens/s', '')),
  },
  {
    file: 'load.svg',
    title: 'Seconds until the first step is done',
    kind: 'bars',
    label: suffix('load', 's', ', first step done'),
  },
  {
    file: 'grow.svg',
    title: 'Seconds of a step by the length of the sequence, with checkpointing',
    kind: 'lines',
    label: sizeOf,
  },
];

/** Only what ran on two threads, as most users run it. */
function onMostThreads(label: Chart['label']): Chart['label'] {
  return (line) => (threadsOf(line) === 1 ? undefined : label(line));
}

function sizeOf({ name, case: text }: Line): string | undefined {
  return name === 'grow' ? /^sequence length, checkpointing (\d+), step$/.exec(text)?.[1] : undefined;
}

/** The picture as SVG; undefined where the run has nothing for it. */
export async function draw(chart: Chart, lines: readonly Line[]): Promise<string | undefined> {
  const rows = lines.flatMap((line) => {
    const label = chart.label(line);
    return label === undefined
      ? []
      : [{ label, size: Number(label), subject: withoutThreads(line), value: line.value }];
  });
  if (rows.length === 0) return undefined;
  const { spec } = compile(chart.kind === 'bars' ? bars(chart, rows) : curves(chart, rows), { logger: silent });
  return new View(parseVega(spec), { renderer: 'none' }).toSVG();
}

const silent = {
  warn: () => silent,
  info: () => silent,
  debug: () => silent,
  error: () => silent,
  level: () => silent,
};
const color = { field: 'subject', type: 'nominal', title: null } as const;
const axis = { labelLimit: 400, title: null } as const;

function bars({ title }: Chart, values: object[]): TopLevelSpec {
  return {
    title,
    data: { values: values as Record<string, unknown>[] },
    mark: 'bar',
    width: 420,
    height: { step: 12 },
    encoding: {
      y: { field: 'label', type: 'nominal', sort: null, axis },
      yOffset: { field: 'subject', sort: null },
      x: { field: 'value', type: 'quantitative', title: null },
      color: { ...color, sort: null },
    },
  };
}

function curves({ title }: Chart, values: object[]): TopLevelSpec {
  return {
    title,
    data: { values: values as Record<string, unknown>[] },
    mark: { type: 'line', point: true },
    width: 420,
    height: 280,
    encoding: {
      x: { field: 'size', type: 'quantitative', scale: { type: 'log', base: 2 }, title: 'tokens' },
      y: { field: 'value', type: 'quantitative', scale: { type: 'log' }, title: 'seconds' },
      color: { ...color, sort: null },
    },
  };
}
