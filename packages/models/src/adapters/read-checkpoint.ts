import { dirname, basename, join } from 'node:path';
import type { Adapter, HostArray, HostState } from '@lowrank/core';
import { messageOf } from '../message-of.ts';
import { ModelsError } from '../models-error.ts';
import { FileRunStore } from '../train/file-run-store.ts';
import { sitesOf, type Base } from './base.ts';
import type { HostAdapter } from './host-adapter.ts';
import { rowOrderOf } from './row-order.ts';

/** The file by which a checkpoint is known. */
export const checkpointManifest = 'state.json';

/**
 * The adapter in a checkpoint of a run: weights only, the optimizer's state is left. The rows of q and k are taken to stand as
 * the base's do, for the run had that base.
 * @param adapters the plugins to choose from, by the run's kind of adapter.
 * @throws ModelsError MODELS_STATE when the checkpoint is damaged, MODELS_ADAPTER when it is of another kind of run.
 */
export async function readCheckpointAdapter(
  folder: string,
  base: Base,
  adapters: readonly Adapter[],
): Promise<HostAdapter> {
  const { manifest, parameters } = await new FileRunStore(dirname(folder)).read(basename(folder));
  const { adapter: told, seed } = manifest.configuration as { adapter?: unknown; seed?: unknown };
  const fail = (why: string, value: unknown, cause?: unknown): never => {
    throw new ModelsError('MODELS_ADAPTER', `${join(folder, checkpointManifest)}: ${why}`, { value, cause });
  };
  if (typeof told !== 'object' || told === null) return fail('it is not of a run that trained an adapter', told);
  const { type, ...rest } = told as Record<string, unknown>;
  const adapter = adapters.find((candidate) => candidate.type === type);
  if (adapter === undefined) {
    return fail(
      `the run trained '${String(type)}'; known here: ${adapters.map((known) => known.type).join(', ')}`,
      type,
    );
  }
  const config = parsed();
  const sites = new Set(sitesOf(base).map(({ path }) => path));
  const states = new Map<string, HostState>();
  const modules = new Map<string, HostArray>();
  for (const [name, array] of parameters) {
    const at = name.lastIndexOf('.');
    const [path, part] = [name.slice(0, at), name.slice(at + 1)];
    if (part === 'weight' || part === 'bias') modules.set(name, array);
    else if (sites.has(path)) states.set(path, { params: { ...states.get(path)?.params, [part]: array }, buffers: {} });
    else fail(`it has the tensor ${name}, for which this model has no module; give the model it was trained on`, name);
  }
  return {
    adapter,
    config,
    states,
    modules,
    rowOrder: rowOrderOf(base.config),
    ...(typeof seed === 'number' ? { seed } : {}),
  };

  function parsed(): HostAdapter['config'] {
    try {
      return adapter!.parseConfig(rest);
    } catch (cause) {
      return fail(messageOf(cause), rest, cause);
    }
  }
}
