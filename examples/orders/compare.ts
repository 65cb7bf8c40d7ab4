/**
 * `npm run compare -w examples/orders`: the demo's task with LoRA, DoRA, QLoRA and QDoRA through the command line, one
 * table of what each reaches and takes. Writes docs/data/adapters.json, and the table into docs/adapters.md.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { doraAdapter } from '@lowrank/adapter-dora';
import { loraAdapter } from '@lowrank/adapter-lora';
import { cpu } from '@lowrank/backend-cpu';
import { loadAdapter, loadCausalLm, openBaseModel } from '@lowrank/models';
import { makeReporter } from 'lowrank';
import { answerAll, exactMatch } from './answers.ts';
import { comparisonTable, withComparison, type Comparison, type Measured } from './comparison.ts';
import { runCli, type CliEvent } from './run-cli.ts';
import { chooseTask, DEFAULT_MODEL } from './task.ts';

const docs = (path: string): string => fileURLToPath(new URL(`../../docs/${path}`, import.meta.url));

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: DEFAULT_MODEL },
    adapters: { type: 'string', default: 'lora,dora,qlora,qdora' },
    steps: { type: 'string' },
    threads: { type: 'string' },
    output: { type: 'string', default: docs('data/adapters.json') },
    page: { type: 'string', default: docs('adapters.md') },
  },
});

const reporter = makeReporter(false);
const task = await chooseTask(options.model, reporter);
const { epochs, batchSize, learningRate } = task.settings;
const settings = [
  '--rank=8',
  '--alpha=16',
  '--target-modules=all-linear',
  `--batch-size=${batchSize}`,
  `--learning-rate=${learningRate}`,
  options.steps === undefined ? `--epochs=${epochs}` : `--steps=${options.steps}`,
];
const machine = options.threads === undefined ? [] : ['--threads', options.threads];
const folder = await mkdtemp(join(tmpdir(), 'lowrank-compare-'));

try {
  const measured: Measured[] = [];
  let start: CliEvent | undefined;
  for (const adapter of options.adapters.split(',')) {
    const row = await measure(adapter);
    measured.push(row.measured);
    start = row.start;
  }
  const comparison: Comparison = {
    model: task.model,
    backend: String(start!['backend']),
    device: String(start!['device']),
    heldOut: (await readFile(task.files.held, 'utf8')).trimEnd().split('\n').length,
    steps: Number(start!['steps']),
    settings,
    measured,
  };
  await mkdir(dirname(options.output), { recursive: true });
  await writeFile(options.output, `${JSON.stringify(comparison, null, 2)}\n`);
  await writeFile(options.page, withComparison(await readFile(options.page, 'utf8'), comparison));
  reporter.line(comparisonTable(comparison));
} finally {
  await rm(folder, { recursive: true, force: true });
}

/** Trains with one adapter, judges the file that comes out. */
async function measure(adapter: string): Promise<{ readonly measured: Measured; readonly start: CliEvent }> {
  const output = join(folder, adapter);
  const base = ['-m', task.modelPath, ...machine];
  const fourBits = adapter.startsWith('q');
  const quantize = fourBits ? ['--quantize', 'nf4'] : [];
  const evaluate = async (...more: string[]): Promise<number> => {
    const { events } = await runCli(['eval', ...base, ...quantize, ...more, '-d', task.files.held]);
    return Number(events.at(-1)!['loss']);
  };

  reporter.line(`${adapter}: training`);
  const { events, peakMemoryBytes } = await runCli(
    ['train', ...base, '--adapter', adapter, ...settings, '-d', task.files.train, '-o', output],
    ({ event, step, steps: all, loss }) => {
      if (event !== 'step') return;
      reporter.status(`${adapter}: step ${String(step)} of ${String(all)}, loss ${Number(loss).toFixed(4)}`);
    },
  );
  reporter.settle();
  const start = events.find(({ event }) => event === 'start')!;
  const steps = events.filter(({ event }) => event === 'step');
  const total = (field: string): number => steps.reduce((sum, step) => sum + Number(step[field]), 0);
  // A step counts the tokens that the loss counts; the model reads the prompts as well.
  const readForEachTrained = Number(start['tokens']) / Number(start['trainedTokens']);

  reporter.line(`${adapter}: answering`);
  const answered = await answers(output, fourBits);
  return {
    start,
    measured: {
      adapter,
      trainableParameters: Number(start['trainableParameters']),
      exactMatch: answered,
      lossBefore: await evaluate(),
      lossAfter: await evaluate('-a', output),
      tokensPerSecond: (total('tokens') * readForEachTrained) / total('seconds'),
      peakMemoryBytes,
    },
  };
}

/** Share of held-out questions that the model with the adapter file answers to the letter. */
async function answers(adapterPath: string, fourBits: boolean): Promise<number | null> {
  if (!task.exact) return null;
  const base = await openBaseModel(task.modelPath);
  const backend = await cpu(options.threads === undefined ? {} : { threads: Number(options.threads) });
  try {
    const tokenizer = await base.tokenizer();
    const { held } = await task.read(tokenizer, await base.chatTemplate(tokenizer));
    const model = await loadCausalLm(base.file, backend, fourBits ? { quantize: { format: 'nf4' } } : {});
    await loadAdapter(adapterPath, model, [loraAdapter, doraAdapter]);
    const texts = await answerAll(model, tokenizer, held, () => {});
    model.dispose();
    return exactMatch(texts);
  } finally {
    await backend.dispose();
    await base.close();
  }
}
