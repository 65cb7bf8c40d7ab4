import type { Adapter } from '@lowrank/core';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { adapterNamed, knownAdapters } from './adapters.ts';

/** What reading an adapter file may need. */
export interface AdapterFileOptions {
  /** A package or file of an adapter that is not one of ours. */
  readonly adapter?: string;
  /** Refuse NaN and infinities. */
  readonly checkFinite?: boolean;
}

/** A file and how much of it counts. */
export interface WeightedFile {
  readonly path: string;
  readonly weight: number;
}

export function addAdapterFileOptions(command: Command): Command {
  return command
    .option('--adapter <kind>', 'package or file of an adapter of your own that the adapter file is of')
    .option('--check-finite', 'refuse adapter files with NaN or infinities in them');
}

/** The plugins that a command reads adapter files with. @throws CliError CLI_ADAPTER. */
export async function fileAdapters({ adapter }: AdapterFileOptions): Promise<readonly Adapter[]> {
  if (adapter === undefined || knownAdapters.some(({ type }) => type === adapter)) return knownAdapters;
  return [...knownAdapters, await adapterNamed(adapter)];
}

/** `pirate.gguf`, or `pirate.gguf=0.7`. */
export function weightedFile(text: string, before: readonly WeightedFile[] = []): WeightedFile[] {
  const match = /^(.+)=([^=]*)$/s.exec(text);
  const weight = match === null ? 1 : Number(match[2]);
  if (match !== null && (match[2]!.trim() === '' || !Number.isFinite(weight))) {
    throw new InvalidArgumentError('a path is needed, or a path and a weight: adapter.gguf=0.7.');
  }
  return [...before, { path: match === null ? text : match[1]!, weight }];
}

/** How modules of zerfoo's files are called. */
export function addZerfooOptions(command: Command): Command {
  return command
    .option(
      '--layer-names <file>',
      "for zerfoo's files: JSON that maps its layers' names to modules; {n} is any number",
    )
    .addOption(
      new Option('--row-order <order>', "for zerfoo's files: how its base held the rows of q and k").choices([
        'gguf',
        'hf',
      ]),
    );
}
