import { wholeModulesAdapter, type Adapter } from '@lowrank/core';
import { doraAdapter } from '@lowrank/adapter-dora';
import { loraAdapter } from '@lowrank/adapter-lora';
import { CliError } from './cli-error.ts';
import { importPlugin, PluginNotFound } from './plugins/import-plugin.ts';

/** The adapters that `--adapter` knows by itself: all of them low-rank pairs, told by `--rank`, `--alpha` and so on. */
const known: ReadonlyMap<string, Adapter> = new Map(
  [loraAdapter, doraAdapter].map((adapter) => [adapter.type, adapter as unknown as Adapter]),
);

export const adapterNames: readonly string[] = [...known.keys()];

/** Whether an adapter comes with the command. */
export function isKnownAdapter(name: string): boolean {
  return known.has(name);
}

/**
 * An adapter by its kind, or the default export of a package or file.
 * @throws CliError CLI_ADAPTER for one that is not there or is no adapter.
 */
export async function adapterNamed(name: string): Promise<Adapter> {
  const own = known.get(name);
  if (own !== undefined) return own;
  let adapter: unknown;
  try {
    adapter = (await importPlugin(name))['default'];
  } catch (error) {
    if (!(error instanceof PluginNotFound)) throw error;
    throw new CliError(
      'CLI_ADAPTER',
      `there is no adapter '${name}': ${error.message}; there are ${adapterNames.join(', ')}`,
      { value: name, cause: error },
    );
  }
  if (!isAdapter(adapter)) {
    throw new CliError('CLI_ADAPTER', `${name} has no default export that is an adapter: export default myAdapter`, {
      value: name,
    });
  }
  return adapter;
}

function isAdapter(value: unknown): value is Adapter {
  const members = ['type', 'interfaceVersion', 'parseConfig', 'setup', 'delta', 'files'];
  return typeof value === 'object' && value !== null && members.every((key) => key in value);
}

/** The plugins that adapter files are read with. */
export const knownAdapters: readonly Adapter[] = [...known.values(), wholeModulesAdapter];
