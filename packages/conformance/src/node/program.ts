import { fusedKernelNames, primitiveNames } from '@lowrank/core';
import { Command, InvalidArgumentError, Option } from 'commander';
import { allModes } from '../backend/report.ts';
import type { Mode } from '../backend/report.ts';
import type { Start } from '../adapter/rules/rule.ts';
import { CommandError } from './command-error.ts';
import { loadPlugin } from './load-plugin.ts';
import type { Plugin } from './load-plugin.ts';
import { makeOutput } from './output.ts';
import type { Output } from './output.ts';
import { showPerf, showSupport } from './tables.ts';
import { testAdapter } from './test-adapter.ts';
import { testBackend } from './test-backend.ts';
import { version } from '../version.node.ts';

interface Flags {
  readonly mode: 'all' | 'test' | 'grad' | 'perf' | 'support';
  readonly export?: string;
  readonly options?: Record<string, unknown>;
  readonly op?: readonly string[];
  readonly start: Start;
  readonly json?: true;
}

/** The command; `done` gets the number of failures. */
export function makeProgram(write: (text: string) => void, done: (failures: number) => void): Command {
  return new Command('lowrank-conformance')
    .description('Judges a backend or an adapter of lowrank.')
    .argument('<package or file>', 'what exports an async function that gives a Backend, or an adapter')
    .addOption(
      new Option('-m, --mode <mode>', 'all: the rules, test and grad')
        .choices(['all', 'test', 'grad', 'perf', 'support'])
        .default('all'),
    )
    .option('-e, --export <name>', 'which export; the default one, or the one with the package’s name, otherwise')
    .option('-o, --options <json>', 'what the export is called with: \'{"engine":"wasm"}\'', readObject)
    .option('--op <names>', 'only these kernels, with commas between', readOps)
    .addOption(
      new Option('--start <how>', 'how an adapter’s output starts, beside the base’s')
        .choices(['exact', 'rounded', 'different'])
        .default('exact'),
    )
    .option('--json', 'one JSON object a line')
    .version(version)
    .showHelpAfterError('(add --help for the options)')
    .addHelpText('after', help)
    .exitOverride()
    .action(async (name: string, flags: Flags) => {
      const output = makeOutput(flags.json === true, write);
      done(await judge(await loadPlugin(name, flags), flags, output));
    });
}

const help = `
Modes: test, every kernel against float64; grad, every gradient against central differences and each operation fused and
composed; perf, times; support, what is offered. Exit code: 0 all right, 1 something failed, 2 nothing could be tried.`;

async function judge(plugin: Plugin, { mode, op, start }: Flags, output: Output): Promise<number> {
  if (plugin.kind === 'adapter') {
    if ((mode !== 'all' && mode !== 'test') || op !== undefined) {
      throw new CommandError('an adapter has no kernels: --mode grad, perf and support and --op are for backends');
    }
    return testAdapter(plugin.adapter, plugin.config, start, output);
  }
  if (mode === 'perf' || mode === 'support') {
    const backend = await plugin.factory();
    try {
      if (mode === 'perf') await showPerf(backend, op, output);
      else showSupport(backend, op, output);
    } finally {
      await backend.dispose();
    }
    return 0;
  }
  const modes: readonly Mode[] = mode === 'all' ? allModes : mode === 'grad' ? ['grad', 'ops', 'composed'] : ['test'];
  return testBackend(plugin.factory, { modes, ops: op }, output);
}

function readObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`it is not JSON: ${(error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidArgumentError('it must be a JSON object');
  }
  return value as Record<string, unknown>;
}

function readOps(text: string): string[] {
  const known: readonly string[] = [...primitiveNames, ...fusedKernelNames];
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) {
    throw new InvalidArgumentError(`there is no kernel ${unknown.join(', ')}; there are ${known.join(', ')}`);
  }
  return names;
}
