import type { Adapter } from '@lowrank/core';
import { loraAdapter } from '@lowrank/adapter-lora';
import { CliError } from './cli-error.ts';

const adapters: ReadonlyMap<string, Adapter> = new Map([[loraAdapter.type, loraAdapter as unknown as Adapter]]);

export const adapterNames: readonly string[] = [...adapters.keys()];

/** @throws CliError CLI_ADAPTER for a kind that is not known. */
export function adapterNamed(type: string): Adapter {
  const adapter = adapters.get(type);
  if (adapter === undefined) {
    throw new CliError('CLI_ADAPTER', `there is no adapter '${type}'; there are ${adapterNames.join(', ')}`, {
      value: type,
    });
  }
  return adapter;
}

/** The plugin that reads llama.cpp's LoRA files. */
export const ggufAdapter: Adapter = adapterNamed('lora');
