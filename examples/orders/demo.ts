/**
 * `npm run demo`: fine-tunes SmolLM2-135M-Instruct on café orders and shows what changed.
 *
 * It is also an example of the library in use: load, answer, train, answer again, save.
 */
import { parseArgs } from 'node:util';
import { mkdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { evaluateLoss, parameterCounts } from '@lowrank/core';
import { cpu } from '@lowrank/backend-cpu';
import { lora } from '@lowrank/adapter-lora';
import { fileSource, openGguf } from '@lowrank/io-gguf';
import {
  chatTemplateFromGguf,
  evaluationSource,
  fineTune,
  loadCausalLm,
  lossOf,
  tokenizerFromGguf,
  writeAdapterGguf,
} from '@lowrank/models';
import { bytesText, CliError, countText, makeReporter, trainProgress } from 'lowrank';
import { answerAll, exactMatch } from './answers.ts';
import { chooseTask, DEFAULT_MODEL } from './task.ts';

try {
  const { values } = parseArgs({
    options: {
      model: { type: 'string', default: DEFAULT_MODEL },
      epochs: { type: 'string' },
      threads: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) process.stdout.write(await readFile(new URL('usage.txt', import.meta.url), 'utf8'));
  else await demo(values);
} catch (error) {
  // What has a code is told to the user: the library's errors and those of wrong options.
  if (!(error instanceof Error && 'code' in error)) throw error;
  process.stderr.write(`demo: ${error.message}\n`);
  process.exitCode = 2;
}

interface DemoOptions {
  readonly model: string;
  readonly epochs?: string;
  readonly threads?: string;
  readonly json: boolean;
}

async function demo(options: DemoOptions): Promise<void> {
  const reporter = makeReporter(options.json);
  const epochs = options.epochs === undefined ? {} : { epochs: Number(options.epochs) };
  if (epochs.epochs !== undefined && !(Number.isInteger(epochs.epochs) && epochs.epochs >= 1)) {
    throw new CliError('CLI_OPTION', `--epochs takes a whole number of 1 or more, not '${options.epochs}'`);
  }
  const task = await chooseTask(options.model, reporter);
  const backend = await cpu(options.threads === undefined ? {} : { threads: Number(options.threads) });
  await using file = await openGguf(await fileSource(task.modelPath));
  const tokenizer = tokenizerFromGguf(file.metadata);
  const template = chatTemplateFromGguf(file.metadata, tokenizer);
  const model = await loadCausalLm(file, backend);
  const { examples, tokens, trainedTokens, held } = await task.read(tokenizer, template);
  const validation = held.map(({ example }) => example);

  reporter.line(`model      ${task.model} on ${backend.name} (${backend.engine}, ${backend.threads} threads)`);
  reporter.line(`task       ${task.description}`);
  reporter.line('');

  const answer = () =>
    answerAll(model, tokenizer, held, (done) => reporter.status(`answering ${done} of ${held.length}`));
  const validationLoss = async () => (await evaluateLoss(evaluationSource(validation, 8), lossOf(model))).loss;
  const before = { answers: await answer(), loss: await validationLoss() };
  reporter.settle();
  show('before', before.answers);

  const progress = trainProgress(reporter);
  const result = await fineTune({
    model,
    adapter: lora({ rank: 8, alpha: 16, targetModules: 'all-linear' }),
    examples,
    ...task.settings,
    ...epochs,
    onStart: ({ adapter, steps }) => {
      const { trainable, total } = parameterCounts(model);
      reporter.line(
        `LoRA       ${countText(trainable)} trainable of ${countText(total)} parameters on ${adapter.sites.length} layers; ${steps} steps`,
      );
      progress.start(steps, 0, tokens / trainedTokens);
    },
    onEvent: (event) => progress.event(event),
  });
  reporter.settle();
  const after = { answers: await answer(), loss: await validationLoss() };
  reporter.settle();
  reporter.line('');
  show('after', after.answers);

  const adapterPath = fileURLToPath(new URL(`../../runs/${task.name}.gguf`, import.meta.url));
  await mkdir(new URL('../../runs/', import.meta.url), { recursive: true });
  const adapterBytes = await writeAdapterGguf(adapterPath, model, result.adapter);
  const shortPath = relative(process.cwd(), adapterPath);
  const [matchBefore, matchAfter] = task.exact ? [exactMatch(before.answers), exactMatch(after.answers)] : [null, null];
  const readTokens = Math.round((result.tokens * tokens) / trainedTokens);
  const { trainable, total } = parameterCounts(model);

  if (matchBefore !== null && matchAfter !== null) {
    reporter.line(
      `exact match      ${percent(matchBefore)} before, ${percent(matchAfter)} after of ${held.length} held-out orders`,
    );
  }
  reporter.line(`validation loss  ${before.loss.toFixed(3)} before, ${after.loss.toFixed(3)} after`);
  reporter.line(
    `training         ${countText(readTokens)} tokens in ${result.seconds.toFixed(0)} s, ${(readTokens / result.seconds).toFixed(0)} tokens a second`,
  );
  reporter.line(`adapter          ${shortPath} (${bytesText(adapterBytes)})`);
  reporter.line(`in llama.cpp     llama-cli -m ${task.modelPath.replace(homedir(), '~')} --lora ${shortPath}`);
  reporter.event('done', {
    model: task.model,
    backend: backend.name,
    engine: backend.engine,
    trainExamples: examples.length,
    steps: result.steps,
    tokens: readTokens,
    seconds: result.seconds,
    tokensPerSecond: readTokens / result.seconds,
    lossBefore: before.loss,
    lossAfter: after.loss,
    exactMatchBefore: matchBefore,
    exactMatchAfter: matchAfter,
    trainableParameters: trainable,
    totalParameters: total,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    adapterPath,
    adapterBytes,
  });
  model.dispose();
  await backend.dispose();

  function show(when: 'before' | 'after', answers: Awaited<ReturnType<typeof answer>>): void {
    reporter.line(`${when} training`);
    for (const { prompt, expected, text } of answers.slice(0, 3)) {
      reporter.line(`  ${prompt}`);
      reporter.line(
        `    ${text.trim().replaceAll(/\s+/g, ' ').slice(0, 140)}  ${task.exact ? (text.trim() === expected ? '✓' : '✗') : ''}`,
      );
    }
    reporter.line('');
    for (const { prompt, expected, text } of answers) reporter.event('answer', { when, prompt, expected, text });
  }
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
