import { extname } from 'node:path';
import { wholeModulesAdapter, type Adapter, type InjectedAdapter } from '@lowrank/core';
import {
  adapterFromModel,
  checkExportable,
  writeAdapter,
  writeMergedFolder,
  writeMergedGguf,
  type MergeType,
} from '@lowrank/models';
import { CliError } from './cli-error.ts';
import { checkOutput, checkOutputFolder } from './output-path.ts';
import type { Session } from './session.ts';

/**
 * What a run writes at its end: a llama.cpp adapter, a PEFT folder, or the model with the adapter merged in. What has none of these
 * forms stays in the run's last checkpoint, which commands take as an adapter file.
 */
export type OutputKind = 'gguf' | 'peft' | 'merged' | 'checkpoint';

export interface OutputOptions {
  readonly output: string;
  /** `'auto'`: by the output's name, and by what the adapter can be written as. */
  readonly outputType: 'auto' | 'adapter' | 'merged';
  /** How a merged model's matrices are stored. */
  readonly mergedType: MergeType;
}

/**
 * What will be written, checked before a run is spent on it.
 * @throws CliError CLI_OUTPUT for an adapter that has no form of the kind that the output's name asks for, with the ways out, and
 * for a place that cannot be written to.
 */
export async function plannedOutput({ output, outputType }: OutputOptions, adapter: Adapter): Promise<OutputKind> {
  const isGguf = extname(output).toLowerCase() === '.gguf';
  const kind = kindOf(isGguf, outputType, adapter);
  if (kind === 'checkpoint') return kind;
  if (isGguf) await checkOutput(output);
  else await checkOutputFolder(output, kind === 'peft' ? 'adapter_config.json' : undefined);
  return kind;
}

function kindOf(isGguf: boolean, outputType: OutputOptions['outputType'], adapter: Adapter): OutputKind {
  const { type, files } = adapter;
  const gguf = 'unsupported' in files.gguf ? files.gguf.unsupported : undefined;
  const peft = 'unsupported' in files.peft ? files.peft.unsupported : undefined;
  // Modules trained whole are merged by taking the place of the model's.
  const merges = adapter.merge !== undefined || type === wholeModulesAdapter.type;
  if (outputType === 'merged' && !merges) {
    throw new CliError('CLI_OUTPUT', `'${type}' cannot be merged into the model's weights; leave out --output-type`, {
      value: type,
    });
  }
  if (outputType === 'merged') return 'merged';
  if (outputType === 'auto' && gguf !== undefined && peft !== undefined) return merges ? 'merged' : 'checkpoint';
  const wrong = isGguf ? gguf : peft;
  if (wrong === undefined) return isGguf ? 'gguf' : 'peft';
  const way = isGguf
    ? peft === undefined
      ? 'give an --output without .gguf for a PEFT folder, or --output-type merged'
      : 'give --output-type merged'
    : gguf === undefined
      ? 'give an --output that ends in .gguf, or --output-type merged'
      : 'give --output-type merged';
  throw new CliError(
    'CLI_OUTPUT',
    `${isGguf ? 'a GGUF adapter' : 'a PEFT folder'} cannot hold '${type}': ${wrong}; ${way} for the whole model`,
    { value: type },
  );
}

/** @throws as the writing itself, once the adapter sits on the model. */
export function checkPlanned(kind: OutputKind, { model }: Session, injected: InjectedAdapter): void {
  if (kind === 'gguf') checkExportable(model, injected);
}

/** Writes what was planned (of a checkpoint: nothing more); resolves to bytes. */
export async function writeOutput(
  kind: OutputKind,
  { output, mergedType }: OutputOptions,
  { model, base }: Session,
  injected: InjectedAdapter,
  baseModel: string,
): Promise<number> {
  if (kind === 'checkpoint') return 0;
  if (kind !== 'merged') return writeAdapter(output, model, await adapterFromModel(model, injected), { baseModel });
  const write = extname(output).toLowerCase() === '.gguf' ? writeMergedGguf : writeMergedFolder;
  return write(output, base.file, model, { type: mergedType, adapter: injected });
}

/** What a checkpoint holds for other tools: the adapter as it would be written, nothing of a model that would be merged. */
export async function writeExtra(
  kind: OutputKind,
  folder: string,
  { model }: Session,
  injected: InjectedAdapter,
): Promise<void> {
  if (kind === 'merged' || kind === 'checkpoint') return;
  await writeAdapter(
    `${folder}/${kind === 'gguf' ? 'adapter.gguf' : 'adapter'}`,
    model,
    await adapterFromModel(model, injected),
  );
}
