/** docs/performance.md, out of a run's figures. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bars, isMet, losses, type Bar } from './bars.ts';
import { charts, draw, type Chart } from './charts.ts';
import { number, readLines, threadsOf, withoutThreads } from './lines.ts';
import type { Line } from '../report.ts';

export interface Page {
  readonly markdown: string;
  /** SVGs by their names, for the folder `performance` beside the page. */
  readonly pictures: ReadonlyMap<string, string>;
}

/** What the benchmarks are, in the page's order. */
const sections: Readonly<Record<string, { title: string; text: string }>> = {
  train: {
    title: 'Training',
    text: 'Steps of AdamW on the same tokens, all of them trained. The ratio is to PyTorch + PEFT (eager, as its documentation has it), which reads the same weights in f32 (its bitsandbytes bases need a GPU, so QLoRA stands beside its f32 LoRA). lowrank multiplies in f32 unless bf16 products are asked for; those stand beside PyTorch’s autocast.',
  },
  profile: {
    title: 'What a training step consists of',
    text: 'Each kind of kernel: its share of the time of all kernels of one step, each waited for before the next, and the rate at which it multiplied and added, or read and wrote. Products of low rank are the adapter’s, those of a side below 64.',
  },
  chat: {
    title: 'The demo, from start to a good model',
    text: '`npm run demo`’s data and settings. PEFT pads each batch to its longest example; lowrank puts examples behind each other. The time is that of training until the validation loss which all reach; evaluations are not counted.',
  },
  generate: {
    title: 'Generation',
    text: 'Greedy, beside llama.cpp (node-llama-cpp) on the same file with the same number of threads. llama.cpp multiplies quantized weights with activations rounded to 8 bits; lowrank computes in f32.',
  },
  load: {
    title: 'Until the first step',
    text: 'From the start of the process, with all that is read, compiled and packed.',
  },
  grow: { title: 'Growth', text: 'Each size in a process of its own; exponents by least squares of the logarithms.' },
  gemm: {
    title: 'Matrix products',
    text: 'The ratio of ours is to the measured peak of multiply-adds of the same moment. Weights that are frozen in training are constants for ONNX Runtime, so that it packs them once; its quantized product rounds activations to 8 bits. onnxruntime-web, tfjs-wasm and jax-js have one thread in Node.',
  },
  size: {
    title: 'Size',
    text: "Bytes on the disk after `npm install`, of a minified bundle, and the time of a first import. WebAssembly of peers that lies beside their bundle is not counted in it; lowrank's is inside.",
  },
};

/** @param notes how the run was made: `run`; and why: by a bar's id, or by a lost figure's `benchmark: case`. */
export async function pageOf(lines: readonly Line[], notes: Readonly<Record<string, string>> = {}): Promise<Page> {
  const pictures = new Map<string, string>();
  const shown: Chart[] = [];
  for (const chart of charts) {
    const svg = await draw(chart, lines);
    if (svg === undefined) continue;
    pictures.set(chart.file, svg);
    shown.push(chart);
  }
  const machines = [...new Set(lines.map(({ machine }) => machine))];
  const markdown = [
    '<!-- Made by `npm run bench -- page`. Do not edit: run it again. -->',
    '# Performance',
    `Measured on: ${machines.join('; ')}. Made again from a fresh clone by\n\n\`\`\`sh\nnpm run --silent bench -- all --json > results.jsonl\nnpm run bench -- page results.jsonl\n\`\`\``,
    'Values are medians, with the smallest and the largest in brackets where they differ by more than a tenth. Subjects ran in turns in one run, each in a process of its own; ratios (×) are ours by the peer’s, taken round by round.',
    ...(notes['run'] === undefined ? [] : [notes['run']]),
    '## What we aim at',
    barTable(lines, notes),
    '## Where we lose',
    lossList(lines, notes),
    ...Object.entries(sections).flatMap(([name, { title, text }]) => {
      const own = lines.filter((line) => line.name === name);
      if (own.length === 0) return [];
      const images = shown.filter((chart) => own.some((line) => chart.label(line) !== undefined));
      return [
        `## ${title}`,
        text,
        ...images.map(({ file, title: alt }) => `![${alt}](performance/${file})`),
        ...tables(own),
      ];
    }),
  ];
  return { markdown: `${markdown.join('\n\n')}\n`, pictures };
}

function barTable(lines: readonly Line[], notes: Readonly<Record<string, string>>): string {
  const rows = bars.map((bar) => {
    const measured = bar.measured(lines);
    const aim = bar.atLeast === undefined ? `≤ ${bar.atMost}` : `≥ ${bar.atLeast}`;
    const verdict = measured === undefined ? 'not measured' : verdictOf(bar, measured);
    return [bar.what, aim, measured === undefined ? '–' : number(measured), verdict];
  });
  const remarks = bars.flatMap((bar) => (notes[bar.id] === undefined ? [] : [`- ${bar.what}: ${notes[bar.id]}`]));
  return [table(['what', 'aim', 'measured', ''], rows), ...(remarks.length === 0 ? [] : [remarks.join('\n')])].join(
    '\n\n',
  );
}

function verdictOf(bar: Bar, measured: number): string {
  if (isMet(bar, measured)) return 'met';
  const aim = (bar.atLeast ?? bar.atMost)!;
  return `missed by ${Math.round(Math.abs(measured / aim - 1) * 100)} %`;
}

function lossList(lines: readonly Line[], notes: Readonly<Record<string, string>>): string {
  const lost = losses(lines);
  if (lost.length === 0) return 'Nowhere in this run.';
  const rows = lost.map((line) => [line.name, line.case, line.subject, withUnit(line), `${number(line.ratio!)} ×`]);
  const explained = [...new Set(lost.map((line) => `${line.name}: ${line.case}`))].filter((key) => key in notes);
  return [
    'In these figures a peer does better.',
    table(['benchmark', 'case', 'ours', 'value', 'ratio'], rows),
    ...(explained.length === 0 ? [] : [explained.map((key) => `- ${key}: ${notes[key]}`).join('\n')]),
  ].join('\n\n');
}

/** One for each number of threads: a row for each case, a column for each subject. */
function tables(lines: readonly Line[]): string[] {
  const plain = lines.filter((line) => !line.case.includes(', by '));
  const counts = [...new Set(plain.map(threadsOf))].toSorted((a, b) => b - a);
  return counts.map((threads) => {
    const own = plain.filter((line) => threadsOf(line) === threads);
    const subjects = [...new Set(own.map(withoutThreads))];
    const rows = [...new Set(own.map((line) => line.case))].map((name) => [
      name,
      ...subjects.map((subject) => {
        const line = own.find((candidate) => candidate.case === name && withoutThreads(candidate) === subject);
        return line === undefined ? '' : cell(line);
      }),
    ]);
    const heading = threads === 0 ? [] : [threads === 1 ? 'On one thread:' : `On ${threads} threads:`];
    return [...heading, table(['', ...subjects], rows)].join('\n\n');
  });
}

function cell(line: Line): string {
  const [low, high] = line.spread ?? [line.value, line.value];
  const spread = high - low > 0.1 * Math.abs(line.value) ? ` (${number(low)}–${number(high)})` : '';
  const ratio = line.ratio === null ? '' : `, ${number(line.ratio)} ×`;
  return `${withUnit(line)}${spread}${ratio}`;
}

function withUnit({ value, unit }: Line): string {
  return unit === '' ? number(value) : `${number(value)} ${unit}`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

/** Writes `performance.md` and the folder `performance` into `folder`. */
export async function writePage(results: string, folder: string): Promise<void> {
  const notes = JSON.parse(await readFile(new URL('notes.json', import.meta.url), 'utf8')) as Record<string, string>;
  const { markdown, pictures } = await pageOf(readLines(await readFile(results, 'utf8')), notes);
  await mkdir(join(folder, 'performance'), { recursive: true });
  for (const [name, svg] of pictures) await writeFile(join(folder, 'performance', name), svg);
  await writeFile(join(folder, 'performance.md'), markdown);
}
