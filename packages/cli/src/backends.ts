import type { Backend } from '@lowrank/core';
import { cpu, type CpuOptions } from '@lowrank/backend-cpu';
import { CliError } from './cli-error.ts';

/** The backends that `--backend` knows. */
export const backendNames = ['cpu', 'cpu:native', 'cpu:wasm', 'cpu:wasm-baseline', 'cpu:wasm-unshared'] as const;

/** @throws CliError CLI_BACKEND for a name that is not known; BackendError when it cannot run here. */
export async function openBackend(
  name: string,
  threads: number | undefined,
): Promise<Backend & { readonly engine?: string }> {
  if (!(backendNames as readonly string[]).includes(name)) {
    throw new CliError('CLI_BACKEND', `there is no backend '${name}'; there are ${backendNames.join(', ')}`, {
      value: name,
    });
  }
  const engine = name.split(':')[1] as CpuOptions['engine'];
  return cpu({ ...(engine === undefined ? {} : { engine }), ...(threads === undefined ? {} : { threads }) });
}
