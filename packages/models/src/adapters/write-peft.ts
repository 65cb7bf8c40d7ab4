import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AdapterError, selectTargets, type AdapterConfig, type HostState, type Site } from '@lowrank/core';
import { writeSafetensors, type SafetensorsTensorInput } from '@lowrank/io-safetensors';
import { messageOf } from '../message-of.ts';
import { ModelsError } from '../models-error.ts';
import { sitesOf, type Base } from './base.ts';
import { inRowOrder, sitesWith, type HostAdapter } from './host-adapter.ts';
import { peftPrefix, type PeftForm } from './peft-keys.ts';
import { peftConfigFile, peftWeightsFile } from './read-peft.ts';
import { savedPaths } from './saved-modules.ts';

export interface WritePeftOptions {
  /** `base_model_name_or_path`, by which PEFT's AutoPeftModel finds the base. Default null. */
  readonly baseModel?: string;
}

/**
 * Writes an adapter as a folder that PEFT loads: adapter_config.json and adapter_model.safetensors. The folder is made; each file
 * appears whole, the weights last. Resolves to the weights' size in bytes.
 * @throws AdapterError ADAPTER_UNSUPPORTED for an adapter without a form there; ModelsError MODELS_OUTPUT when the system refuses.
 */
export async function writePeftFolder(
  folder: string,
  base: Base,
  source: HostAdapter,
  { baseModel }: WritePeftOptions = {},
): Promise<number> {
  const form = peftFormOf(source);
  const sites = sitesOf(base);
  const { config } = source;
  const written = Array.from(source.states, ([path, state]): [string, HostState] => {
    const site = sites.find((candidate) => candidate.path === path)!;
    return [path, { params: (form.toState?.(state, config, site) ?? state).params, buffers: {} }];
  });
  const { states, modules } = inRowOrder({ ...source, states: new Map(written) }, base.config, sites, 'hf');
  const tensors: SafetensorsTensorInput[] = [];
  for (const site of sitesWith(states, sites)) {
    const { params } = states.get(site.path)!;
    for (const [param, suffix] of Object.entries(form.tensorNames(site))) {
      const array = params[param];
      if (array === undefined) {
        throw new ModelsError('MODELS_ADAPTER', `the adapter has no ${param} for ${site.path}`, { value: site.path });
      }
      tensors.push({ name: `${peftPrefix}${site.path}.${suffix}`, array });
    }
  }
  for (const [name, array] of modules) tensors.push({ name: `${peftPrefix}${name}`, array });
  const json = {
    auto_mapping: null,
    base_model_name_or_path: baseModel ?? null,
    revision: null,
    ...form.toConfig({
      ...config,
      targetModules: targetsFor(config, states, sites),
      ...(modules.size === 0 ? {} : { modulesToSave: savedPaths(modules.keys(), config) }),
    }),
  };
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, peftConfigFile), `${JSON.stringify(json, undefined, 2)}\n`, { flush: true });
  } catch (cause) {
    throw new ModelsError('MODELS_OUTPUT', `${folder} cannot be written: ${messageOf(cause)}`, {
      value: folder,
      cause,
    });
  }
  return writeSafetensors(join(folder, peftWeightsFile), { tensors });
}

/** @throws AdapterError ADAPTER_UNSUPPORTED where PEFT has no such adapter. */
export function peftFormOf({ adapter }: Pick<HostAdapter, 'adapter'>): PeftForm {
  const form = adapter.files.peft;
  if (!('unsupported' in form)) return form;
  throw new AdapterError('ADAPTER_UNSUPPORTED', `'${adapter.type}' has no form in PEFT's folders: ${form.unsupported}`);
}

/** Names as short as they can be: `q_proj` where every q_proj has the adapter, whole paths where only some have. */
function targetsFor(
  config: AdapterConfig,
  states: ReadonlyMap<string, unknown>,
  sites: readonly Site[],
): readonly string[] | string {
  const own = sitesWith(states, sites);
  const same = (targetModules: readonly string[] | string): boolean =>
    selectTargets(sites, { ...config, targetModules }).length === own.length;
  const { targetModules } = config;
  // PEFT resolves 'all-linear' by the model's class; names mean the same everywhere.
  if (typeof targetModules === 'string' && targetModules !== 'all-linear') return targetModules;
  const names = [...new Set(own.map(({ path }) => path.slice(path.lastIndexOf('.') + 1)))];
  return same(names) ? names : own.map(({ path }) => path);
}
