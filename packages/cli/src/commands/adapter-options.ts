import { InvalidArgumentError, Option, type Command } from 'commander';
import type { ConfiguredAdapter } from '@lowrank/core';
import { fullFineTuning, headOnly } from '@lowrank/models';
import { qlora } from '@lowrank/adapter-qlora';
import { adapterNamed, adapterNames, isKnownAdapter } from '../adapters.ts';
import type { QuantizeOptions } from '../quantize-options.ts';
import { CliError } from '../cli-error.ts';
import { moduleNames, numberBetween, patternTable, wholeNumber, wholeNumbers } from '../option-values.ts';

/** What a user says of the adapter. */
export interface AdapterOptions {
  readonly adapter: string;
  readonly rank: number;
  readonly alpha: number;
  readonly dropout: number;
  readonly rslora?: boolean;
  readonly init: string;
  readonly targetModules: string | string[];
  readonly excludeModules?: string | string[];
  readonly rankPattern?: Record<string, number>;
  readonly alphaPattern?: Record<string, number>;
  readonly layersToTransform?: number[];
  readonly modulesToSave?: string[];
  readonly bias?: string;
  readonly adapterOptions?: Record<string, unknown>;
}

/** What trains weights of the model itself. */
const recipes: ReadonlyMap<string, () => ConfiguredAdapter> = new Map([
  ['head-only', headOnly],
  ['full', fullFineTuning],
]);

/** An adapter of ours over a base in NF4, unless `--quantize` says how else. */
const overFourBits: ReadonlyMap<string, string> = new Map([
  ['qlora', 'lora'],
  ['qdora', 'dora'],
]);

/** Options with what their `--adapter` implies: `qlora` is `lora` on a model in 4 bits. */
export function withImplied<T extends AdapterOptions & QuantizeOptions>(options: T): T {
  const adapter = overFourBits.get(options.adapter);
  return adapter === undefined ? options : { ...options, adapter, quantize: options.quantize ?? 'nf4' };
}

/** Flags by the name of the configuration's field. */
const flags = {
  rank: 'rank',
  alpha: 'alpha',
  dropout: 'dropout',
  useRslora: 'rslora',
  init: 'init',
  targetModules: 'targetModules',
  excludeModules: 'excludeModules',
  rankPattern: 'rankPattern',
  alphaPattern: 'alphaPattern',
  layersToTransform: 'layersToTransform',
  modulesToSave: 'modulesToSave',
  bias: 'bias',
} as const satisfies Record<string, keyof AdapterOptions>;

export function addAdapterOptions(command: Command): Command {
  return command
    .option(
      '--adapter <kind>',
      `what is trained: ${[...adapterNames, ...overFourBits.keys()].join(', ')}, a package or file of your own; ${[...recipes.keys()].join(', ')} (no adapter, but weights as they are)`,
      'lora',
    )
    .option('--rank <r>', 'rank', wholeNumber(1), 8)
    .option('--alpha <alpha>', 'the change is scaled by alpha / rank', numberBetween(0, Infinity), 16)
    .option('--dropout <p>', "of the adapter's input", numberBetween(0, 1), 0)
    .option('--rslora', 'scale by alpha / sqrt(rank) instead')
    .option(
      '--init <how>',
      'how the adapter starts: kaiming, gaussian, orthogonal, pissa, olora, and loftq over 4 bits',
      'kaiming',
    )
    .option(
      '--target-modules <names>',
      "modules to adapt: names, 'all-linear', or a regular expression",
      moduleNames,
      'all-linear',
    )
    .option('--exclude-modules <names>', 'left out of those: names, or a regular expression', moduleNames)
    .option('--rank-pattern <table>', 'ranks of some modules: q_proj=16,layers.0.mlp.up_proj=4', patternTable)
    .option('--alpha-pattern <table>', 'alphas of some modules, likewise', patternTable)
    .option('--layers-to-transform <numbers>', 'of listed target modules, only those in these layers', wholeNumbers)
    .option('--modules-to-save <names>', 'modules trained whole beside the adapter', (text) => text.split(','))
    .addOption(new Option('--bias <which>', 'biases trained beside it').choices(['none', 'all', 'lora_only']))
    .option('--adapter-options <json>', "an adapter's own options, as JSON; they go before the ones above", jsonObject);
}

function jsonObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InvalidArgumentError('a JSON object is needed.');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidArgumentError('a JSON object is needed.');
  }
  return value as Record<string, unknown>;
}

/**
 * The adapter that the options ask for. One of our own gets all of them, defaults too; somebody else's only those that were
 * given, for its fields may be others.
 * @throws CliError CLI_ADAPTER; AdapterError ADAPTER_CONFIG.
 */
export async function chosenAdapter(
  command: Command,
  options: AdapterOptions & QuantizeOptions,
): Promise<ConfiguredAdapter> {
  const recipe = recipes.get(options.adapter);
  if (recipe !== undefined) return recipe();
  if (startsWithLoftq(options)) return overLoftq(command, options);
  const adapter = await adapterNamed(options.adapter);
  const config: Record<string, unknown> = {};
  for (const [field, flag] of Object.entries(flags)) {
    const given = command.getOptionValueSource(flag) !== 'default';
    if (options[flag] !== undefined && (given || isKnownAdapter(options.adapter))) config[field] = options[flag];
  }
  return { adapter, config: adapter.parseConfig({ ...config, ...options.adapterOptions }) };
}

/** LoftQ quantizes each layer when the adapter is put on it: A and B start as what that loses. */
export function startsWithLoftq({ init }: Pick<AdapterOptions, 'init'>): boolean {
  return init === 'loftq';
}

async function overLoftq(command: Command, options: AdapterOptions & QuantizeOptions): Promise<ConfiguredAdapter> {
  const { quantize: format, quantizeBlockSize: blockSize, doubleQuantization } = options;
  if (format === undefined) {
    throw new CliError(
      'CLI_OPTION',
      '--init loftq makes up for what 4 bits lose; give --quantize, or --adapter qlora',
      {
        value: options.init,
      },
    );
  }
  const adapter = await chosenAdapter(command, { ...options, init: 'kaiming' });
  return qlora({ adapter, format, blockSize, doubleQuantization, init: 'loftq' });
}
