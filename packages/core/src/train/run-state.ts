import { CoreError } from '../errors/core-error.ts';
import type { NamedArrays } from '../host/arrays.ts';
import type { OptimizerSettings } from '../optim/optimizer.ts';
import type { DataCursor } from './batches.ts';

/** What JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The version of the layout below. */
export const RUN_STATE_VERSION = 1;

/** A run's state but for its arrays, as JSON. Random numbers are functions of seed and counters, so these are all. */
export interface RunManifest {
  readonly runStateVersion: number;
  /** Optimizer steps taken. */
  readonly step: number;
  /** Batches trained on: names the dropout masks. */
  readonly microBatches: number;
  /** Tokens trained on. */
  readonly tokens: number;
  readonly seed: number;
  readonly cursor: DataCursor;
  readonly optimizer: { readonly kind: string; readonly step: number; readonly settings: OptimizerSettings };
  /** The run's options with defaults filled in, as whoever started it gave them. */
  readonly configuration: { readonly [key: string]: Json };
  /** Of the packages that wrote it. For people. */
  readonly versions: { readonly [name: string]: string };
}

/** Everything that a run needs to go on with the same bits. */
export interface RunState {
  readonly manifest: RunManifest;
  /** Trained tensors, by path. */
  readonly parameters: NamedArrays;
  /** The optimizer's, as `<moment>/<path>`. */
  readonly moments: NamedArrays;
}

/** Where run states are kept. */
export interface RunStore {
  /** Writes a state whole or not at all: one that is killed midway leaves `latest` as it was. */
  write(name: string, state: RunState): Promise<void>;
  /** The name of the state with the most steps, if there is one. */
  latest(): Promise<string | undefined>;
  read(name: string): Promise<RunState>;
}

/**
 * Checks what was parsed from JSON.
 * @throws CoreError CORE_STATE naming the field that is missing or wrong.
 */
export function parseRunManifest(input: unknown): RunManifest {
  const manifest = record(input, 'the run state');
  const version = manifest['runStateVersion'];
  if (version !== RUN_STATE_VERSION) {
    fail(
      `the run state has version ${JSON.stringify(version)}; this software reads version ${RUN_STATE_VERSION}`,
      version,
    );
  }
  const optimizer = record(manifest['optimizer'], 'optimizer');
  const cursor = record(manifest['cursor'], 'cursor');
  const versions = record(manifest['versions'], 'versions');
  for (const name of Object.keys(versions)) text(versions, name, 'versions.');
  return {
    runStateVersion: RUN_STATE_VERSION,
    step: count(manifest, 'step'),
    microBatches: count(manifest, 'microBatches'),
    tokens: count(manifest, 'tokens'),
    seed: count(manifest, 'seed'),
    cursor: { epoch: count(cursor, 'epoch', 'cursor.'), index: count(cursor, 'index', 'cursor.') },
    optimizer: {
      kind: text(optimizer, 'kind', 'optimizer.'),
      step: count(optimizer, 'step', 'optimizer.'),
      settings: settingsOf(optimizer['settings']),
    },
    configuration: record(manifest['configuration'], 'configuration') as RunManifest['configuration'],
    versions: versions as Record<string, string>,
  };
}

function settingsOf(input: unknown): OptimizerSettings {
  const settings = record(input, 'optimizer.settings');
  for (const [name, value] of Object.entries(settings)) {
    if (typeof value !== 'number' && typeof value !== 'boolean') {
      fail(`the run state's optimizer.settings.${name} is not a number or flag`, value);
    }
  }
  return settings as OptimizerSettings;
}

function record(input: unknown, name: string): Record<string, unknown> {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) fail(`${name} is not a JSON object`, input);
  return input as Record<string, unknown>;
}

function count(from: Record<string, unknown>, name: string, prefix = ''): number {
  const value = from[name];
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    fail(`the run state's ${prefix}${name} is not a whole number`, value);
  }
  return value as number;
}

function text(from: Record<string, unknown>, name: string, prefix: string): string {
  const value = from[name];
  return typeof value === 'string' ? value : fail(`the run state's ${prefix}${name} is not a string`, value);
}

function fail(message: string, value: unknown): never {
  throw new CoreError('CORE_STATE', `${message}; the checkpoint is damaged or of another version`, { value });
}

/** A value as it comes back from a file: what JSON cannot hold (undefined, -0, Infinity) is no difference then. */
export function asSaved(value: { readonly [key: string]: Json }): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}

/**
 * Throws at the first difference between two configurations.
 * @throws CoreError CORE_STATE with the path and both values.
 */
export function requireSameJson(saved: Json | undefined, now: Json | undefined, path: string): void {
  if (isObject(saved) && isObject(now)) {
    for (const key of new Set([...Object.keys(saved), ...Object.keys(now)])) {
      requireSameJson(saved[key], now[key], `${path}.${key}`);
    }
    return;
  }
  if (Array.isArray(saved) && Array.isArray(now) && saved.length === now.length) {
    saved.forEach((value: Json, i) => requireSameJson(value, (now as readonly Json[])[i], `${path}[${i}]`));
    return;
  }
  if (Object.is(saved, now)) return;
  const [before, after] = [saved, now].map((value) => (value === undefined ? 'not set' : JSON.stringify(value)));
  throw new CoreError(
    'CORE_STATE',
    `${path} was ${before} when the checkpoint was saved and is ${after} now; give the same options to go on with it`,
    {
      value: now,
    },
  );
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
