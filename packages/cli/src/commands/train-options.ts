import { Option, type Command } from 'commander';
import { mergeTypes, optimizerNames, type FineTuneSettings, type OptimizerName } from '@lowrank/models';
import { CliError } from '../cli-error.ts';
import { addModelOptions } from '../common-options.ts';
import type { DataOptions } from '../data.ts';
import { numberBetween, wholeNumber } from '../option-values.ts';
import type { SessionOptions } from '../session.ts';
import type { OutputOptions } from '../train-output.ts';
import { addAdapterOptions, type AdapterOptions } from './adapter-options.ts';

export interface TrainOptions extends SessionOptions, DataOptions, AdapterOptions, Omit<OutputOptions, 'output'> {
  readonly config?: string;
  readonly data?: string;
  readonly validData?: string;
  readonly output?: string;
  readonly epochs: number;
  readonly steps?: number;
  readonly batchSize: number;
  readonly gradientAccumulationSteps: number;
  readonly gradientCheckpointing?: boolean;
  readonly learningRate: number;
  readonly schedule: 'constant' | 'linear' | 'cosine';
  readonly warmup: number;
  readonly optimizer: OptimizerName;
  readonly loraplusLrRatio: number;
  readonly weightDecay: number;
  readonly maxGradNorm: number;
  readonly shuffle: boolean;
  readonly seed: number;
  readonly evalEvery?: number;
  readonly saveEvery?: number;
  readonly resume?: boolean;
  readonly overwrite?: boolean;
  readonly resumeAdapterFile?: string;
  readonly checkFinite?: boolean;
  readonly json?: boolean;
}

export type ReadyOptions = TrainOptions & { readonly data: string; readonly output: string };

/** What `lowrank train` takes besides the options of data sets and `--json`. */
export function addTrainOptions(command: Command): Command {
  addModelOptions(command)
    .option('-c, --config <path>', 'YAML file of these options; those given here override it')
    .option('-d, --data <path>', 'JSON Lines to train on: messages, prompt and completion, or text')
    .option('--valid-data <path>', 'JSON Lines to evaluate on')
    .option('-o, --output <path>', 'what to write: an adapter as GGUF (adapter.gguf) or PEFT folder (adapter/)')
    .addOption(
      new Option(
        '--output-type <type>',
        'the adapter, or the model with it merged in (a GGUF, or a Hugging Face folder)',
      )
        .choices(['auto', 'adapter', 'merged'])
        .default('auto'),
    )
    .addOption(
      new Option('--merged-type <type>', "how a merged model's matrices are stored").choices(mergeTypes).default('f16'),
    );
  return addAdapterOptions(command)
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
    .addOption(
      new Option('--optimizer <name>', "adamw8bit takes a quarter of the memory for AdamW's moments")
        .choices(optimizerNames)
        .default('adamw'),
    )
    .option(
      '--loraplus-lr-ratio <ratio>',
      "LoRA+: B's learning rate is this times the others', 16 for instance",
      numberBetween(0, Infinity),
      1,
    )
    .option('--weight-decay <w>', "AdamW's", numberBetween(0, Infinity), 0)
    .option('--max-grad-norm <norm>', "bound on the gradient's norm; 0 for none", numberBetween(0, Infinity), 1)
    .option('--no-shuffle', 'take the examples in their own order')
    .option('--seed <n>', 'decides initial weights, order and dropout', wholeNumber(0), 0)
    .option('--eval-every <n>', 'steps between evaluations (default: at the end)', wholeNumber(1))
    .option('--save-every <n>', 'steps between checkpoints (default: at the end)', wholeNumber(1))
    .option('--resume', 'go on from the latest checkpoint, with the same bits')
    .addOption(new Option('--overwrite', 'begin anew where checkpoints of an earlier run are').conflicts('resume'))
    .option('--resume-adapter-file <path>', 'start from the weights of an adapter: GGUF, PEFT folder or checkpoint')
    .option('--check-finite', 'refuse such an adapter with NaN or infinities in it');
}

/** These may stand in the YAML file, so commander cannot ask for them. */
export function required(options: TrainOptions): ReadyOptions {
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

/** The run's part. */
export function runSettings(options: TrainOptions): FineTuneSettings {
  const {
    epochs,
    steps,
    batchSize,
    learningRate,
    schedule,
    optimizer,
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
    optimizer,
    loraPlusRatio: options.loraplusLrRatio,
    weightDecay,
    maxGradNorm,
    shuffle,
    seed,
    ...(evalEvery === undefined ? {} : { evalEvery }),
    ...(saveEvery === undefined ? {} : { saveEvery }),
  };
}
