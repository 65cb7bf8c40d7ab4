import { rm } from 'node:fs/promises';
import type { Command } from 'commander';
import type { InjectedAdapter } from '@lowrank/core';
import { FileRunStore, fineTune, loadAdapter } from '@lowrank/models';
import { knownAdapters } from '../adapters.ts';
import { CliError } from '../cli-error.ts';
import { addJson } from '../common-options.ts';
import { applyConfigFile } from '../config-file.ts';
import { addDataOptions, readExamples } from '../data.ts';
import { Interrupted, onInterrupt } from '../interrupt.ts';
import { makeReporter } from '../reporter.ts';
import { openSession } from '../session.ts';
import { checkPlanned, plannedOutput, writeExtra, writeOutput } from '../train-output.ts';
import { trainProgress } from '../train-progress.ts';
import { version } from '../version.ts';
import { addTrainOptions, required, runSettings, type ReadyOptions, type TrainOptions } from './train-options.ts';
import { chosenAdapter, startsWithLoftq, withImplied } from './adapter-options.ts';
import { tellEnd, tellStart } from './train-report.ts';

export function addTrain(program: Command): Command {
  const command = program
    .command('train')
    .description(
      'Fine-tune a model: writes an adapter that llama.cpp and Ollama load, a PEFT folder, or the merged model.',
    );
  return addJson(addDataOptions(addTrainOptions(command))).action(async (options: TrainOptions, self: Command) => {
    if (options.config !== undefined) await applyConfigFile(self, options.config);
    await train(self, withImplied(required(self.opts<TrainOptions>())));
  });
}

async function train(command: Command, options: ReadyOptions): Promise<void> {
  const reporter = makeReporter(options.json === true);
  const run = await runFolder(options);
  const configured = await chosenAdapter(command, options);
  const fromFile = options.resumeAdapterFile;
  // An adapter file decides the kind of adapter, and so what can be written.
  let kind = fromFile === undefined ? await plannedOutput(options, configured.adapter) : undefined;
  const session = await openSession(startsWithLoftq(options) ? withoutQuantization(options) : options, reporter);
  const interrupt = onInterrupt();
  try {
    const data = await readExamples(options.data, session, options, reporter);
    const validation =
      options.validData === undefined
        ? undefined
        : (await readExamples(options.validData, session, options, reporter)).examples;
    let adapter: InjectedAdapter | undefined;
    const store = new FileRunStore(run, {
      extras: async (folder) => {
        await writeExtra(kind!, folder, session, adapter!);
      },
    });
    const start =
      fromFile === undefined
        ? configured
        : await loadAdapter(fromFile, session.model, [...knownAdapters, configured.adapter], {
            checkFinite: options.checkFinite === true,
          });
    if ('configured' in start) {
      kind = await plannedOutput(options, start.configured.adapter);
      reporter.note(`${fromFile} decides kind, rank, alpha and target modules`);
    }
    const progress = trainProgress(reporter);
    const result = await fineTune({
      ...runSettings(options),
      model: session.model,
      adapter: start,
      examples: data.examples,
      validation,
      store,
      resume: options.resume === true,
      versions: { lowrank: version, node: process.versions.node },
      signal: interrupt.signal,
      onStart: async ({ adapter: injected, steps, firstStep }) => {
        checkPlanned(kind!, session, injected);
        // Only now that nothing is wrong with the new run.
        if (options.overwrite === true) await rm(run, { recursive: true, force: true });
        adapter = injected;
        tellStart(reporter, session, options, {
          steps,
          firstStep,
          examples: data.examples.length,
          tokens: data.tokens,
          trainedTokens: data.trainedTokens,
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
    const bytes = await writeOutput(kind!, options, session, result.adapter, options.model);
    const path = kind === 'checkpoint' ? `${run}/checkpoint-${result.step}` : options.output;
    tellEnd(reporter, options, { kind: kind!, path, bytes });
    reporter.event('done', {
      output: kind!,
      adapterPath: path,
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

/** The model as it is in its file. */
function withoutQuantization({ quantize: _, ...options }: ReadyOptions): ReadyOptions {
  return options;
}

/** Where the run's checkpoints go. */
async function runFolder({ output, resume, overwrite }: ReadyOptions): Promise<string> {
  const folder = `${output.replace(/[/\\]+$/, '')}.run`;
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
