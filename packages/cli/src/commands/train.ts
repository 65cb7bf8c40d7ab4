import { rm } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import { parameterCounts, type InjectedAdapter } from '@lowrank/core';
import { checkExportable, FileRunStore, fineTune, loadAdapterGguf, writeAdapterGguf } from '@lowrank/models';
import { adapterNamed, adapterNames, ggufAdapter } from '../adapters.ts';
import { CliError } from '../cli-error.ts';
import { addJson, addModelOptions } from '../common-options.ts';
import { applyConfigFile } from '../config-file.ts';
import { addDataOptions, readExamples, type DataOptions } from '../data.ts';
import { bytesText, countText } from '../format.ts';
import { Interrupted, onInterrupt } from '../interrupt.ts';
import { moduleNames, numberBetween, wholeNumber } from '../option-values.ts';
import { checkOutput } from '../output-path.ts';
import { makeReporter, type Reporter } from '../reporter.ts';
import { openSession, type Session, type SessionOptions } from '../session.ts';
import { trainProgress } from '../train-progress.ts';
import { version } from '../version.ts';

interface TrainOptions extends SessionOptions, DataOptions {
  readonly config?: string;
  readonly data?: string;
  readonly validData?: string;
  readonly output?: string;
  readonly adapter: string;
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  readonly rslora?: boolean;
  readonly init: string;
  readonly targetModules: string | string[];
  readonly epochs: number;
  readonly steps?: number;
  readonly batchSize: number;
  readonly gradientAccumulationSteps: number;
  readonly gradientCheckpointing?: boolean;
  readonly learningRate: number;
  readonly schedule: 'constant' | 'linear' | 'cosine';
  readonly warmup: number;
  readonly weightDecay: number;
  readonly maxGradNorm: number;
  readonly shuffle: boolean;
  readonly seed: number;
  readonly evalEvery?: number;
  readonly saveEvery?: number;
  readonly resume?: boolean;
  readonly overwrite?: boolean;
  readonly resumeAdapterFile?: string;
  readonly json?: boolean;
}

export function addTrain(program: Command): Command {
  const command = program
    .command('train')
    .description('Fine-tune a model: writes an adapter that llama.cpp and Ollama load.');
  addModelOptions(command)
    .option('-c, --config <path>', 'YAML file of these options; those given here override it')
    .option('-d, --data <path>', 'JSON Lines to train on: messages, prompt and completion, or text')
    .option('--valid-data <path>', 'JSON Lines to evaluate on')
    .option('-o, --output <path>', 'the adapter to write (GGUF)')
    .option('--adapter <kind>', `kind of adapter: ${adapterNames.join(', ')}`, 'lora')
    .option('--rank <r>', 'rank', wholeNumber(1), 8)
    .option('--alpha <alpha>', 'the change is scaled by alpha / rank', numberBetween(0, Infinity), 16)
    .option('--dropout <p>', "of the adapter's input", numberBetween(0, 1), 0)
    .option('--rslora', 'scale by alpha / sqrt(rank) instead')
    .addOption(
      new Option('--init <how>', 'how the adapter starts')
        .choices(['kaiming', 'gaussian', 'orthogonal'])
        .default('kaiming'),
    )
    .option(
      '--target-modules <names>',
      "modules to adapt: names, 'all-linear', or a regular expression",
      moduleNames,
      'all-linear',
    )
    .option('--epochs <n>', 'passes over the data', wholeNumber(1), 1)
    .option('--steps <n>', 'optimizer steps; takes the place of epochs', wholeNumber(1))
    .option('--batch-size <n>', 'examples per batch', wholeNumber(1), 8)
    .option('--gradient-accumulation-steps <n>', 'batches per optimizer step', wholeNumber(1), 1)
    .option('--gradient-checkpointing', 'less memory, about a third more time')
    .option('--learning-rate <rate>', 'highest learning rate', numberBetween(0, Infinity), 2e-4)
    .addOption(
      new Option('--schedule <kind>', 'what the learning rate does')
        .choices(['constant', 'linear', 'cosine'])
        .default('linear'),
    )
    .option('--warmup <ratio>', 'of the steps, over which the rate rises', numberBetween(0, 1), 0.03)
    .option('--weight-decay <w>', "AdamW's", numberBetween(0, Infinity), 0)
    .option('--max-grad-norm <norm>', "bound on the gradient's norm; 0 for none", numberBetween(0, Infinity), 1)
    .option('--no-shuffle', 'take the examples in their own order')
    .option('--seed <n>', 'decides initial weights, order and dropout', wholeNumber(0), 0)
    .option('--eval-every <n>', 'steps between evaluations (default: at the end)', wholeNumber(1))
    .option('--save-every <n>', 'steps between checkpoints (default: at the end)', wholeNumber(1))
    .option('--resume', 'go on from the latest checkpoint, with the same bits')
    .option('--overwrite', 'begin anew where checkpoints of an earlier run are')
    .option('--resume-adapter-file <path>', 'start from the weights of an adapter file');
  return addJson(addDataOptions(command)).action(async (options: TrainOptions, self: Command) => {
    if (options.config !== undefined) await applyConfigFile(self, options.config);
    await train(required(self.opts<TrainOptions>()));
  });
}

type ReadyOptions = TrainOptions & { readonly data: string; readonly output: string };

/** These may stand in the YAML file, so commander cannot ask for them. */
function required(options: TrainOptions): ReadyOptions {
  for (const [name, flag] of [
    ['data', '--data'],
    ['output', '--output'],
  ] as const) {
    if (options[name] === undefined) {
      throw new CliError('CLI_OPTION', `${flag} is missing; see lowrank train --help`, { value: flag });
    }
  }
  return options as ReadyOptions;
}

async function train(options: ReadyOptions): Promise<void> {
  const reporter = makeReporter(options.json === true);
  await checkOutput(options.output);
  const run = await runFolder(options);
  const configured = {
    adapter: adapterNamed(options.adapter),
    config: adapterNamed(options.adapter).parseConfig(adapterConfig(options)),
  };
  const session = await openSession(options, reporter);
  const interrupt = onInterrupt();
  try {
    const data = await readExamples(options.data, session, options, reporter);
    const validation =
      options.validData === undefined
        ? undefined
        : (await readExamples(options.validData, session, options, reporter)).examples;
    if (options.overwrite === true) await rm(run, { recursive: true, force: true });
    let adapter: InjectedAdapter | undefined;
    const store = new FileRunStore(run, {
      extras: async (folder) => {
        await writeAdapterGguf(`${folder}/adapter.gguf`, session.model, adapter!);
      },
    });
    const start =
      options.resumeAdapterFile === undefined
        ? configured
        : await loadAdapterGguf(options.resumeAdapterFile, session.model, ggufAdapter);
    const progress = trainProgress(reporter);
    const result = await fineTune({
      ...settings(options),
      model: session.model,
      adapter: start,
      examples: data.examples,
      validation,
      store,
      resume: options.resume === true,
      versions: { lowrank: version, node: process.versions.node },
      signal: interrupt.signal,
      onStart: ({ adapter: injected, steps, firstStep }) => {
        checkExportable(session.model, injected);
        adapter = injected;
        tellStart(reporter, session, options, {
          steps,
          firstStep,
          examples: data.examples.length,
          tokens: data.tokens,
        });
        progress.start(steps, firstStep, data.tokens / data.trainedTokens);
      },
      onEvent: (event) => progress.event(event),
    });
    reporter.settle();
    if (result.reason === 'stopped') {
      reporter.note(`stopped after step ${result.step} of ${result.steps}; go on with the same options and --resume`);
      reporter.event('stopped', {
        step: result.step,
        steps: result.steps,
        checkpoint: `${run}/checkpoint-${result.step}`,
      });
      throw new Interrupted();
    }
    const bytes = await writeAdapterGguf(options.output, session.model, result.adapter);
    tellEnd(reporter, options, bytes);
    reporter.event('done', {
      adapterPath: options.output,
      adapterBytes: bytes,
      steps: result.steps,
      loss: result.loss,
      seconds: result.seconds,
    });
  } finally {
    interrupt.release();
    reporter.settle();
    await session.close();
  }
}

/** Where the run's checkpoints go. */
async function runFolder({ output, resume, overwrite }: ReadyOptions): Promise<string> {
  const folder = `${output}.run`;
  // A run that was killed before its first checkpoint left nothing to go on from.
  const there = (await new FileRunStore(folder).latest()) !== undefined;
  if (there && resume !== true && overwrite !== true) {
    throw new CliError(
      'CLI_OUTPUT',
      `${folder} holds checkpoints of an earlier run; go on with --resume, begin anew with --overwrite, or give another --output`,
      { value: folder },
    );
  }
  return folder;
}

function adapterConfig(options: TrainOptions): Record<string, unknown> {
  const { rank, alpha, dropout, rslora = false, init, targetModules } = options;
  return { rank, alpha, dropout, useRslora: rslora, init, targetModules };
}

function settings(options: TrainOptions) {
  const {
    epochs,
    steps,
    batchSize,
    learningRate,
    schedule,
    weightDecay,
    maxGradNorm,
    shuffle,
    seed,
    evalEvery,
    saveEvery,
  } = options;
  return {
    epochs,
    ...(steps === undefined ? {} : { steps }),
    batchSize,
    gradientAccumulation: options.gradientAccumulationSteps,
    gradientCheckpointing: options.gradientCheckpointing === true,
    learningRate,
    schedule,
    warmup: { ratio: options.warmup },
    weightDecay,
    maxGradNorm,
    shuffle,
    seed,
    ...(evalEvery === undefined ? {} : { evalEvery }),
    ...(saveEvery === undefined ? {} : { saveEvery }),
  };
}

interface Start {
  readonly steps: number;
  readonly firstStep: number;
  readonly examples: number;
  readonly tokens: number;
}

function tellStart(
  reporter: Reporter,
  session: Session,
  options: ReadyOptions,
  { steps, firstStep, examples, tokens }: Start,
): void {
  const { trainable, total } = parameterCounts(session.model);
  const { backend } = session;
  reporter.settle();
  reporter.line(
    `model      ${session.path} on ${backend.name}${backend.engine === undefined ? '' : ` (${backend.engine})`}`,
  );
  reporter.line(
    `adapter    ${options.adapter}, ${countText(trainable)} trainable of ${countText(total)} parameters (${((100 * trainable) / total).toFixed(2)} %)`,
  );
  reporter.line(
    `data       ${countText(examples)} examples, ${countText(tokens)} tokens; ${countText(steps)} steps${firstStep > 0 ? `, ${firstStep} of them done` : ''}`,
  );
  reporter.event('start', {
    model: session.path,
    backend: backend.name,
    engine: backend.engine ?? null,
    adapter: options.adapter,
    trainableParameters: trainable,
    totalParameters: total,
    trainExamples: examples,
    steps,
    firstStep,
  });
}

function tellEnd(reporter: Reporter, { output, model }: ReadyOptions, bytes: number): void {
  reporter.line(`adapter    ${output} (${bytesText(bytes)})`);
  reporter.line(`try it     lowrank generate -m ${model} -a ${output} -p "..."`);
  reporter.line(`llama.cpp  llama-cli -m <model.gguf> --lora ${output}`);
}
