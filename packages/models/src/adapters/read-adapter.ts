import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Adapter, InjectedAdapter } from '@lowrank/core';
import { fileSource, openGguf } from '@lowrank/io-gguf';
import type { CausalLm } from '../causal-lm/causal-lm.ts';
import { ModelsError } from '../models-error.ts';
import type { Base } from './base.ts';
import { checkFinite } from './check-finite.ts';
import { fromLoraGguf } from './gguf-adapter.ts';
import type { HostAdapter } from './host-adapter.ts';
import { putOnModel, type LoadAdapterOptions } from './on-model.ts';
import { checkpointManifest, readCheckpointAdapter } from './read-checkpoint.ts';
import { peftConfigFile, peftWeightsFile, readPeftFolder } from './read-peft.ts';
import { isZerfoo, readZerfooAdapter, type ZerfooOptions } from './zerfoo-adapter.ts';

/** The kinds of adapters that are read. */
export type AdapterFileKind = 'gguf' | 'zerfoo' | 'peft' | 'checkpoint';

export interface ReadAdapterOptions extends ZerfooOptions {
  /** Refuse NaN and infinities. Default false. */
  readonly checkFinite?: boolean;
}

/**
 * Which kind of adapter lies at a path: by what is there, not by its name.
 * @returns undefined where it is none of them.
 */
export async function adapterKind(path: string): Promise<AdapterFileKind | undefined> {
  const there = await stat(path).catch(() => undefined);
  if (there?.isDirectory() === true) {
    const has = async (name: string): Promise<boolean> =>
      (await stat(join(path, name)).catch(() => undefined))?.isFile() === true;
    if (await has(checkpointManifest)) return 'checkpoint';
    if ((await has(peftConfigFile)) || (await has(peftWeightsFile))) return 'peft';
    return undefined;
  }
  if (basename(path) === peftConfigFile || basename(path) === peftWeightsFile) return 'peft';
  if (there?.isFile() !== true) return undefined;
  const source = await fileSource(path);
  const magic = source.size < 4 ? '' : new TextDecoder('latin1').decode(await source.read(0, 4));
  if (magic !== 'GGUF') {
    await source.close();
    return undefined;
  }
  await using file = await openGguf(source);
  if (isZerfoo(file)) return 'zerfoo';
  return file.metadata.string('general.type', 'model') === 'adapter' ? 'gguf' : undefined;
}

/**
 * Reads an adapter from a llama.cpp LoRA GGUF, a PEFT folder, one of our checkpoints, or a zerfoo GGUF.
 * @param adapters the plugins to choose from; the first that has a form in GGUF reads low-rank pairs.
 * @throws ModelsError MODELS_ADAPTER that names file and tensor when it is none of them, not whole, or another model's;
 * GgufError and SafetensorsError for damaged files.
 */
export async function readAdapter(
  path: string,
  base: Base,
  adapters: readonly Adapter[],
  options: ReadAdapterOptions = {},
): Promise<HostAdapter> {
  const read = await readKind(path, base, adapters, options);
  if (options.checkFinite === true) checkFinite(path, read);
  return read;
}

/** The same, put on a model. @throws as `readAdapter` and `putOnModel`. */
export async function loadAdapter(
  path: string,
  model: CausalLm,
  adapters: readonly Adapter[],
  options: ReadAdapterOptions & LoadAdapterOptions = {},
): Promise<InjectedAdapter> {
  const { name } = options;
  return putOnModel(await readAdapter(path, model, adapters, options), model, name === undefined ? {} : { name });
}

async function readKind(
  path: string,
  base: Base,
  adapters: readonly Adapter[],
  options: ReadAdapterOptions,
): Promise<HostAdapter> {
  const kind = await adapterKind(path);
  switch (kind) {
    case 'checkpoint':
      return readCheckpointAdapter(path, base, adapters);
    case 'peft':
      return readPeftFolder((await stat(path)).isDirectory() ? path : dirname(path), base, adapters);
    default: {
      const there = await stat(path).catch(() => undefined);
      if (there?.isDirectory() === true) return readPeftFolder(path, base, adapters);
      // What is no GGUF is told so by the reader.
      await using file = await openGguf(await fileSource(path));
      const plugin = pairsPlugin(adapters);
      return kind === 'zerfoo'
        ? await readZerfooAdapter(path, file, base, plugin, options)
        : await fromLoraGguf(path, file, base, plugin);
    }
  }
}

function pairsPlugin(adapters: readonly Adapter[]): Adapter {
  const plugin = adapters.find(({ files }) => !('unsupported' in files.gguf));
  if (plugin !== undefined) return plugin;
  throw new ModelsError('MODELS_ADAPTER', 'none of the adapters that are known here reads GGUF adapters', {
    value: adapters.map(({ type }) => type),
  });
}
