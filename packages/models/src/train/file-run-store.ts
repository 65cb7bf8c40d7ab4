import { parseRunManifest, type NamedArrays, type RunState, type RunStore } from '@lowrank/core';
import { fileSource, openGguf, writeGguf } from '@lowrank/io-gguf';
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../message-of.ts';
import { ModelsError } from '../models-error.ts';

export interface FileRunStoreOptions {
  /** Checkpoints kept, 1 or more; older ones are removed once a newer one is whole. Default 2. */
  readonly keep?: number;
  /** Writes more files into a checkpoint's folder before it is put in place: the adapter as other tools read it. */
  readonly extras?: (folder: string) => Promise<void>;
}

const checkpointName = /^checkpoint-(\d+)$/;
const temporaryName = /^\.checkpoint-\d+\.tmp$/;
const MANIFEST = 'state.json';
const PARAMETERS = 'parameters.gguf';
const MOMENTS = 'optimizer.gguf';

/**
 * Run states as folders `checkpoint-N/` on disk (Node only). A folder is written under a temporary name, synced and
 * renamed: one that is there is whole.
 */
export class FileRunStore implements RunStore {
  readonly folder: string;
  readonly #keep: number;
  readonly #extras: FileRunStoreOptions['extras'];

  constructor(folder: string, options: FileRunStoreOptions = {}) {
    const { keep = 2 } = options;
    if (!Number.isSafeInteger(keep) || keep < 1) {
      throw new ModelsError(
        'MODELS_ARGUMENT',
        `${keep} checkpoints cannot be kept; a whole number of 1 or more is needed`,
        { value: keep },
      );
    }
    this.folder = folder;
    this.#keep = keep;
    this.#extras = options.extras;
  }

  /** @throws ModelsError MODELS_OUTPUT when the system, or `extras`, refuses; what was there before still is. */
  async write(name: string, state: RunState): Promise<void> {
    const temporary = join(this.folder, `.${name}.tmp`);
    const target = join(this.folder, name);
    try {
      await rm(temporary, { recursive: true, force: true });
      await mkdir(temporary, { recursive: true });
      await writeArrays(join(temporary, PARAMETERS), state.parameters);
      await writeArrays(join(temporary, MOMENTS), state.moments);
      await this.#extras?.(temporary);
      await writeFile(join(temporary, MANIFEST), `${JSON.stringify(state.manifest, undefined, 2)}\n`, { flush: true });
      await syncFolder(temporary);
      await rm(target, { recursive: true, force: true });
      await rename(temporary, target);
      await syncFolder(this.folder);
      await this.#prune();
    } catch (cause) {
      await rm(temporary, { recursive: true, force: true }).catch(() => {});
      throw new ModelsError('MODELS_OUTPUT', `the checkpoint ${target} cannot be written: ${messageOf(cause)}`, {
        value: target,
        cause,
      });
    }
  }

  async latest(): Promise<string | undefined> {
    return (await this.#names()).at(-1);
  }

  /** @throws ModelsError MODELS_STATE when a file is missing or damaged. */
  async read(name: string): Promise<RunState> {
    const folder = join(this.folder, name);
    try {
      const manifest = await readManifest(join(folder, MANIFEST));
      return {
        manifest,
        parameters: await readArrays(join(folder, PARAMETERS)),
        moments: await readArrays(join(folder, MOMENTS)),
      };
    } catch (cause) {
      throw new ModelsError(
        'MODELS_STATE',
        `the checkpoint ${folder} cannot be read: ${messageOf(cause)}; delete it to go on from an earlier one`,
        { value: folder, cause },
      );
    }
  }

  /** Checkpoints by rising step. */
  async #names(): Promise<string[]> {
    const step = (name: string): number => Number(checkpointName.exec(name)![1]);
    return (await listing(this.folder)).filter((name) => checkpointName.test(name)).sort((a, b) => step(a) - step(b));
  }

  async #prune(): Promise<void> {
    const outdated = (await this.#names()).slice(0, -this.#keep);
    const abandoned = (await listing(this.folder)).filter((name) => temporaryName.test(name));
    for (const name of [...outdated, ...abandoned]) await rm(join(this.folder, name), { recursive: true, force: true });
  }
}

async function listing(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return [];
    throw error;
  }
}

async function readManifest(path: string): Promise<RunState['manifest']> {
  const text = await readFile(path, 'utf8');
  try {
    return parseRunManifest(JSON.parse(text));
  } catch (cause) {
    throw new ModelsError('MODELS_STATE', `${path}: ${messageOf(cause)}`, { value: path, cause });
  }
}

/** GGUF limits the length of tensor names, so arrays are numbered and their names kept apart. */
const NAMES = 'lowrank.names';

async function writeArrays(path: string, arrays: NamedArrays): Promise<void> {
  await writeGguf(path, {
    metadata: {
      'general.architecture': { type: 'string', value: 'lowrank-state' },
      [NAMES]: { type: 'array', of: 'string', value: [...arrays.keys()] },
    },
    tensors: [...arrays.values()].map((array, i) => ({ name: String(i), array })),
  });
}

async function readArrays(path: string): Promise<NamedArrays> {
  await using file = await openGguf(await fileSource(path));
  const names = file.metadata.strings(NAMES);
  const arrays = new Map<string, Awaited<ReturnType<typeof file.read>>>();
  for (const [i, name] of names.entries()) arrays.set(name, await file.read(String(i)));
  return arrays;
}

async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open folders; renames are durable there without it.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
