import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { bars, isMet, losses } from './bars.ts';
import { readLines } from './lines.ts';
import { pageOf, writePage } from './page.ts';
import type { Line } from '../report.ts';

const machine = 'a machine, 2 threads';

function line(name: string, what: string, subject: string, value: number, unit: string, ratio: number | null): Line {
  return { name, case: what, subject, value, unit, ratio, machine, spread: [value * 0.8, value * 1.2] };
}

const step = 'LoRA on all linear layers, 4 x 256';
const run: Line[] = [
  line('train', step, 'lowrank native, 2 threads', 300, 'tokens/s', 1.6),
  line('train', `${step}, peak memory`, 'lowrank native, 2 threads', 3.5, 'GB', 0.9),
  line('train', step, 'PyTorch + PEFT, 2 threads', 187.5, 'tokens/s', null),
  line('gemm', 'multiply-add peak', 'native x86_64_v4, 1 thread', 100, 'GFLOP/s', null),
  line('gemm', 'matrix 512x576x1536', 'native x86_64_v4, 1 thread', 92, 'GFLOP/s', 0.92),
  line('gemm', 'matrix 512x576x1536, by tfjs-node', 'native x86_64_v4, 1 thread', 0.95, '', 0.95),
  line('gemm', 'matrix 512x576x1536', 'tfjs-node, 1 thread', 96, 'GFLOP/s', null),
  line('grow', 'sequence length, checkpointing 128, step', 'lowrank native, 2 threads', 1, 's', 0.5),
  line('grow', 'sequence length, checkpointing 256, step', 'lowrank native, 2 threads', 2, 's', 0.5),
  line('grow', 'sequence length, checkpointing, exponent of memory', 'lowrank native, 2 threads', 1.3, '', null),
];

it('a page says what is met, what is missed and by how much, and what a run did not measure', async () => {
  const { markdown } = await pageOf(run, { 'memory-f32': 'activations stay in f32' });
  expect(markdown).toContain('| LoRA step, all linear, native, by PyTorch + PEFT | ≥ 1.5 | 1.60 | met |');
  expect(markdown).toContain('| the same with the base in f32 | ≤ 0.75 | 0.900 | missed by 20 % |');
  expect(markdown).toContain('- the same with the base in f32: activations stay in f32');
  expect(markdown).toContain("| exponent of memory in the sequence's length | ≤ 1.15 | 1.30 | missed by 13 % |");
  expect(markdown).toContain('| the same in WASM | ≥ 0.8 | – | not measured |');
  expect(markdown).toContain(machine);
});

it('a page has a table with a column for each subject, and spreads', async () => {
  const { markdown } = await pageOf(run);
  expect(markdown).toContain('|  | lowrank native | PyTorch + PEFT |');
  expect(markdown).toContain(`| ${step} | 300 tokens/s (240–360), 1.60 × | 188 tokens/s (150–225) |`);
  expect(markdown).not.toContain('## Generation');
});

it('a loss is a figure whose peer is better: fewer tokens a second, more seconds, a slower product', () => {
  const slow = line('generate', 'decode', 'lowrank native, 1 thread', 20, 'tokens/s', 0.5);
  const late = line('load', 'first step done', 'lowrank WASM, 1 thread', 9, 's', 1.5);
  expect(losses([...run, slow, late])).toEqual([run[5], slow, late]);
});

it('a loss has its reason below, where there is a note of one', async () => {
  const { markdown } = await pageOf(run, {
    'gemm: matrix 512x576x1536, by tfjs-node': 'the panel is packed each time',
  });
  expect(markdown).toContain('- gemm: matrix 512x576x1536, by tfjs-node: the panel is packed each time');
});

it('pictures are SVGs of what the run measured, and of nothing else', async () => {
  const { pictures, markdown } = await pageOf(run);
  expect([...pictures.keys()]).toEqual(['gemm-1.svg', 'train.svg', 'train-memory.svg', 'grow.svg']);
  for (const [file, svg] of pictures) {
    expect(svg).toMatch(/^<svg [^]*<\/svg>$/);
    expect(svg).toContain('lowrank native'.slice(file.startsWith('gemm') ? 8 : 0));
    expect(markdown).toContain(`](performance/${file})`);
  }
});

it('each bar has an id of its own, and a bound that it keeps', () => {
  expect(new Set(bars.map(({ id }) => id)).size).toBe(bars.length);
  for (const bar of bars) {
    const bound = (bar.atLeast ?? bar.atMost)!;
    expect(isMet(bar, bound)).toBe(true);
    expect(isMet(bar, bar.atLeast === undefined ? bound + 1 : bound - 1)).toBe(false);
  }
});

it('a line that is no figure is an error with its number', () => {
  const text = `${JSON.stringify(run[0])}\n\n{"name":"train"}\n`;
  expect(() => readLines(text)).toThrow(/^line 3 /);
  expect(() => readLines('> npm run bench')).toThrow(/^line 1 /);
  expect(readLines(run.map((figure) => JSON.stringify(figure)).join('\n'))).toEqual(run);
});

it('the page and its pictures are written beside each other', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lowrank-page-'));
  try {
    const results = join(folder, 'results.jsonl');
    await writeFile(results, run.map((figure) => `${JSON.stringify(figure)}\n`).join(''));
    await writePage(results, folder);
    const markdown = await readFile(join(folder, 'performance.md'), 'utf8');
    const files = [...markdown.matchAll(/\]\((performance\/[^)]+)\)/g)].map(([, file]) => file!);
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) expect(await readFile(join(folder, file), 'utf8')).toMatch(/^<svg /);
  } finally {
    await rm(folder, { recursive: true });
  }
});
