import { AdapterError, type ConfiguredAdapter } from '@lowrank/core';
import { demand, demandClass } from '../../conformance-error.ts';

/** A claim about an adapter's configuration, without backend or layer. */
export interface ConfigRule {
  readonly name: string;
  readonly run: (configured: ConfiguredAdapter) => void;
}

export const configRules: readonly ConfigRule[] = [
  {
    name: 'its configuration survives JSON and is its own fixed point',
    run({ adapter, config }) {
      const again = adapter.parseConfig(JSON.parse(JSON.stringify(config)));
      demand(
        text(again) === text(config),
        `${adapter.type}: the configuration comes back from JSON as ${text(again)}, it was ${text(config)}`,
      );
    },
  },
  {
    name: 'refuses unknown fields, and what is no object, by name',
    run({ adapter, config }) {
      demandRefused(adapter.type, () => adapter.parseConfig({ ...config, noSuchField: 1 }), 'noSuchField');
      for (const input of [null, 7, 'rank', [1]]) demandRefused(adapter.type, () => adapter.parseConfig(input));
    },
  },
  {
    name: 'refuses target modules that name none',
    run({ adapter, config }) {
      demandRefused(adapter.type, () => adapter.parseConfig({ ...config, targetModules: [] }), 'targetModules');
      demandRefused(adapter.type, () => adapter.parseConfig({ ...config, targetModules: 7 }), 'targetModules');
    },
  },
];

/** Throws unless `parse` throws an `ADAPTER_CONFIG` at `path`. */
export function demandRefused(type: string, parse: () => unknown, path?: string): void {
  let thrown: unknown;
  try {
    parse();
  } catch (error) {
    thrown = error;
  }
  const rule = `${type}: a configuration with a wrong ${path ?? 'type'} must throw an AdapterError with code ADAPTER_CONFIG`;
  demandClass(thrown, AdapterError, rule);
  demand(thrown.code === 'ADAPTER_CONFIG', `${rule}, not ${String(thrown)}`, thrown);
  demand(
    path === undefined || thrown.path?.startsWith(path) === true,
    `${type}: the error names the path ${String(thrown.path)}, not ${path}`,
    thrown,
  );
}

/** With keys in order. */
function text(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
